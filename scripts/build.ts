/**
 * Builds `build/bin/banger` and `build/bin/banger-agent`, and `build/kit/agent.js`.
 *
 * With DENORT_BIN set they are made by `deno compile`; otherwise they are self-extracting files made
 * of this Deno and the bundled code. `--release` compiles for every architecture instead.
 */
import { BangerError } from "../src/model/errors.ts";
import { archive, describeArchive, sha256Of } from "./build/archive.ts";
import type { Archive } from "./build/archive.ts";
import { bundle } from "./build/bundle.ts";
import { compiled } from "./build/compiled.ts";
import { release } from "./build/release.ts";
import { selfExtracting } from "./build/self_extracting.ts";
import { buildVersion } from "./build/version.ts";

const root = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
const build = `${root}/build`;

/** The two programs, and the directory of each one's bundle. */
const programs = [
  { name: "banger", bundleDir: `${build}/bundle/banger` },
  { name: "banger-agent", bundleDir: `${build}/bundle/banger-agent` },
] as const;

/** What every command needs, and what every command needs that asks the daemon. */
const commandJoints = [
  { name: "command", entries: ["src/cli/run_command.ts", "src/cli/host_context.ts"] },
  { name: "ask", entries: ["src/cli/connect_daemon.ts", "src/cli/commands/vm_list.ts"] },
] as const;

/** The two threads each of the daemon and of the process that unpacks images. */
const threads = [
  { source: "./src/daemon/main.ts", file: "daemon.js" },
  { source: "./src/daemon/worker.ts", file: "worker.js" },
  { source: "./src/flattener/main.ts", file: "flattener.js" },
  { source: "./src/flattener/inflate_worker.ts", file: "inflater.js" },
] as const;

/**
 * Bundles both programs; the agent's bundle is also the guest kit's and goes into banger's, as does
 * the net filter's, which a bare Deno reads.
 */
async function bundleAll(kind: "compiled" | "self-extracting"): Promise<string> {
  const { version, commit } = await buildVersion(root);
  const info = { version, commit, kind };
  const [banger, agent] = programs;
  await bundle({
    entry: `${root}/agent/main.ts`,
    outDir: agent.bundleDir,
    split: false,
    // An emulated guest reads it at every start.
    compactExcept: () => false,
    info,
  });
  await bundle({
    entry: `${root}/main.ts`,
    outDir: banger.bundleDir,
    split: true,
    joints: commandJoints,
    parts: threads,
    // Its licence wants it unmodified.
    compactExcept: (name) => name.startsWith("openpgp-"),
    info,
  });
  const filterDir = `${build}/bundle/net-filter`;
  await bundle({ entry: `${root}/src/netfilter/alone.ts`, outDir: filterDir, split: false, info });
  const agentBundle = `${agent.bundleDir}/main.js`;
  await Deno.mkdir(`${build}/kit`, { recursive: true });
  for (
    const [from, name] of [
      [agentBundle, "agent.js"],
      [`${filterDir}/alone.js`, "net_filter.js"],
    ] as const
  ) {
    await Deno.copyFile(from, `${build}/kit/${name}.new`);
    await Deno.rename(`${build}/kit/${name}.new`, `${build}/kit/${name}`);
    await Deno.copyFile(from, `${banger.bundleDir}/${name}`);
  }
  return version;
}

/**
 * Permission bits of the unpacked Deno. Its directory is closed to others, but the net filter of root's
 * VMs, which runs as another user, gets it as an open descriptor and must be allowed to execute it.
 */
const runtimeMode = 0o555;

/** The Deno runtime as an archive; compressing takes seconds, so the result is kept. */
async function runtimeArchive(): Promise<Archive> {
  const from = Deno.execPath();
  const cache = `${root}/.tools/runtime`;
  const path = `${cache}/${await sha256Of(from)}-${runtimeMode.toString(8)}.tar.gz`;
  try {
    return await describeArchive(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await Deno.mkdir(cache, { recursive: true });
  return await archive(path, [{ from, name: "deno", mode: runtimeMode }], [], `${cache}/work`);
}

async function appArchive(bundleDir: string): Promise<Archive> {
  const members = [];
  for await (const { name } of Deno.readDir(bundleDir)) {
    members.push({ from: `${bundleDir}/${name}`, name, mode: 0o400 });
  }
  return await archive(`${bundleDir}.tar.gz`, members, ["cache"], `${bundleDir}.work`);
}

async function buildHere(denortBin: string | undefined): Promise<void> {
  const kind = denortBin === undefined ? "self-extracting" : "compiled";
  const version = await bundleAll(kind);
  const runtime = denortBin === undefined ? await runtimeArchive() : undefined;
  await Deno.mkdir(`${build}/bin`, { recursive: true });
  for (const { name, bundleDir } of programs) {
    const out = `${build}/bin/${name}`;
    if (runtime === undefined) {
      await compiled({ out, bundleDir, denortBin: denortBin ?? "" });
    } else {
      const app = await appArchive(bundleDir);
      await selfExtracting({ out, name, version, runtime, app });
    }
  }
  const note = kind === "compiled"
    ? "compiled with DENORT_BIN"
    : "self-extracting, because DENORT_BIN is not set";
  say(`build: build/bin/banger and build/bin/banger-agent ${version} (${note})`);
}

function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** An empty variable counts as unset. */
const variable = (name: string) => Deno.env.get(name) || undefined;

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === "--release") {
    const bins = {
      x86_64: variable("DENORT_BIN_X86_64"),
      aarch64: variable("DENORT_BIN_AARCH64"),
    };
    return await release(bins, `${build}/release`, programs, () => bundleAll("compiled"), say);
  }
  await buildHere(variable("DENORT_BIN"));
  return 0;
}

try {
  Deno.exit(await main(Deno.args));
} catch (error) {
  if (!(error instanceof BangerError)) throw error;
  say(`build: ${error.message}${error.detail === undefined ? "" : `\n${error.detail}`}`);
  Deno.exit(1);
}
