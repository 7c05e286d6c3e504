import { createHash } from "node:crypto";
import { BangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";
import { kitPath } from "../wire/messages.ts";
import { elfNeeds } from "./elf.ts";
import { identifyScript } from "./kit_identify.ts";
import { kitInitScript } from "./kit_init.ts";
import type { KitPackages } from "./kit_packages.ts";
import { collectKitFiles, type KitFiles } from "./kit_tree.ts";
import { sessionScript } from "./kit_session.ts";
import { workDiskScript } from "./kit_work_disk.ts";
import { sshdConfig } from "./sshd_config.ts";

/** Changes when the same inputs give another kit. */
const builderRevision = 3;

/** Fixed, so that the same content gives the same file system. */
const kitUuid = "62616e67-6572-4b69-8000-000000000001";

const mib = 1024 * 1024;

/** What a kit is built from, and where. */
export interface KitOptions {
  /** Path of the Deno program for the guest's processor. */
  readonly denoBinary: string;
  /** Path of the bundled agent. */
  readonly agentBundle: string;
  readonly packages: KitPackages;
  /** Directory (made by the caller) that gets `kit-DIGEST.ext4`; work files are made in it too. */
  readonly outputDir: string;
  readonly signal: AbortSignal;
  readonly onProgress?: (done: number, total: number, note: string) => void;
}

/** A finished kit. */
export interface BuiltKit {
  /** `OUTPUT/kit-DIGEST.ext4`: a read-only ext4 file system, to be attached as `banger-kit`. */
  readonly path: string;
  /** First 12 hexadecimal digits of the sha256 over its files: names, modes and contents. */
  readonly digest: string;
  readonly bytes: number;
}

/**
 * Builds the guest kit: one read-only disk with agent, init, ssh server and their libraries, which
 * runs in any root file system. Needs patchelf and mkfs.ext4; works as an ordinary user. The image
 * appears under its name only when it is whole; an image that is there already is used.
 *
 * @throws BangerError `precondition` (a program is missing), `untrusted` (a package lacks
 * something), `cancelled`; whatever `packages` throws
 */
export async function buildKit(options: KitOptions): Promise<BuiltKit> {
  const work = await Deno.makeTempDir({ dir: options.outputDir, prefix: ".kit-" });
  await using undo = new AsyncDisposableStack();
  undo.defer(() => Deno.remove(work, { recursive: true }));
  const tree = `${work}/tree`;
  const deno = await Deno.readFile(options.denoBinary);
  const report = options.onProgress ?? (() => {});
  const files = await collectKitFiles(
    options.packages,
    [{ label: "deno", bytes: deno }],
    (done, total, name) => report(done, total + 2, name),
    options.signal,
  );
  files.set("bin/deno", { bytes: deno, mode: 0o755 });
  addText(files, "bin/agent.js", await Deno.readTextFile(options.agentBundle), 0o644);
  addText(files, "sbin/kit-init", kitInitScript, 0o755);
  addText(files, "sbin/identify", identifyScript, 0o755);
  addText(files, "sbin/session", sessionScript, 0o755);
  addText(files, "sbin/work-disk", workDiskScript, 0o755);
  addText(files, "etc/sshd_config", sshdConfig, 0o644);
  await writeTree(tree, files);
  const total = files.size;
  report(total, total + 2, "patchelf");
  await patchPrograms(tree, files, options.signal);
  const digest = await treeDigest(tree, files);
  const path = `${options.outputDir}/kit-${digest}.ext4`;
  report(total + 1, total + 2, "mkfs.ext4");
  if (!await isFile(path)) {
    await makeImage(`${work}/kit.ext4`, tree, files, options.signal);
    await Deno.rename(`${work}/kit.ext4`, path);
  }
  return { path, digest, bytes: (await Deno.stat(path)).size };
}

/**
 * A key that is cheap to compute and changes when the kit's own inputs do: tells whether a kit that
 * was built before is still the right one. New versions of the Debian packages do not change it.
 */
export async function kitInputsKey(
  options: Pick<KitOptions, "denoBinary" | "agentBundle">,
): Promise<string> {
  const deno = await Deno.stat(options.denoBinary);
  const scripts = [kitInitScript, identifyScript, sessionScript, workDiskScript, sshdConfig];
  return createHash("sha256")
    .update([builderRevision, deno.size, ...scripts].map((part) => `${part}\n`).join(""))
    .update(await Deno.readFile(options.agentBundle))
    .digest("hex");
}

function addText(files: KitFiles, path: string, text: string, mode: number): void {
  files.set(path, { bytes: new TextEncoder().encode(text), mode });
}

async function writeTree(tree: string, files: KitFiles): Promise<void> {
  for (const directory of ["bin", "etc", "lib", "sbin"]) {
    await Deno.mkdir(`${tree}/${directory}`, { recursive: true });
    await Deno.chmod(`${tree}/${directory}`, 0o755);
  }
  await Deno.chmod(tree, 0o755);
  for (const [path, { bytes, mode }] of files) {
    await Deno.writeFile(`${tree}/${path}`, bytes);
    await Deno.chmod(`${tree}/${path}`, mode);
  }
}

/**
 * Points every dynamic program at the kit's own loader and libraries. RPATH, not RUNPATH: it holds
 * for the libraries' libraries too, which therefore stay as they are.
 */
async function patchPrograms(tree: string, files: KitFiles, signal: AbortSignal): Promise<void> {
  for (const [path, { bytes }] of files) {
    if (!/^s?bin\//.test(path) || bytes[0] !== 0x7f) continue;
    const { interpreter } = elfNeeds(bytes, path);
    if (interpreter === null) continue;
    const loader = `${kitPath}/lib/${interpreter.split("/").at(-1)}`;
    const set = ["--set-interpreter", loader, "--force-rpath", "--set-rpath", `${kitPath}/lib`];
    await run("patchelf", [...set, `${tree}/${path}`], { signal, timeoutMs: 120_000 });
  }
}

async function treeDigest(tree: string, files: KitFiles): Promise<string> {
  const all = createHash("sha256").update(`kit ${builderRevision}\n`);
  for (const path of [...files.keys()].sort()) {
    const content = createHash("sha256").update(await Deno.readFile(`${tree}/${path}`));
    all.update(`${path} ${files.get(path)!.mode} ${content.digest("hex")}\n`);
  }
  return all.digest("hex").slice(0, 12);
}

async function makeImage(
  image: string,
  tree: string,
  files: KitFiles,
  signal: AbortSignal,
): Promise<void> {
  let bytes = 0;
  for (const path of files.keys()) {
    bytes += Math.ceil((await Deno.stat(`${tree}/${path}`)).size / 4096) * 4096;
  }
  const sizeMib = Math.ceil(bytes / mib * 1.02) + 2;
  const options = { signal, timeoutMs: 120_000, env: fixedTime };
  await run("mkfs.ext4", [
    ...["-q", "-F", "-b", "4096", "-m", "0", "-L", "banger-kit", "-U", kitUuid],
    ...["-O", "^has_journal,^resize_inode,^metadata_csum,^64bit", "-N", `${files.size + 32}`],
    ...["-E", `hash_seed=${kitUuid},root_owner=0:0,lazy_itable_init=0,nodiscard`],
    ...["-d", tree, image, `${sizeMib}M`],
  ], options);
  // Constant commands: every name is one of the kit's own.
  const inodes = ["/", "/bin", "/etc", "/lib", "/sbin", ...[...files.keys()].map((p) => `/${p}`)];
  const commands = inodes.flatMap((path) => {
    if (!/^[A-Za-z0-9._+/-]+$/.test(path)) {
      throw new BangerError("untrusted", `Cannot build the guest kit: file name "${path}"`);
    }
    const times = ["ctime", "atime", "mtime", "crtime"].map((time) => [time, "@1"] as const);
    return [["uid", "0"] as const, ["gid", "0"] as const, ...times]
      .map(([field, value]) => `set_inode_field ${path} ${field} ${value}\n`);
  });
  await run("debugfs", ["-w", "-f", "-", image], {
    ...options,
    stdin: new TextEncoder().encode(commands.join("")),
  });
}

/** Makes e2fsprogs (from 1.45) write this time instead of the clock's. */
const fixedTime = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C",
  E2FSPROGS_FAKE_TIME: "1",
  SOURCE_DATE_EPOCH: "1",
};

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}
