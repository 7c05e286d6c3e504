import assert from "node:assert/strict";
import { Banger, type BangerResult, isBuilt, withBanger, withCachedBanger } from "./banger.ts";
import { skipUnless } from "./require.ts";

/** A VM of `vm list --json`, as far as tests look at it. */
export interface VmFacts {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly failure: string | null;
}

/** What a test needs of the machine, in the words of its skip. */
export interface Need {
  readonly met: boolean;
  readonly otherwise: string;
}

/** Bound on a run that may have to pull kernel, kit and image first. */
export const firstRunMs = 8 * 60_000;

/** Mount namespaces and other users. */
export const needsRoot: Need = { met: Deno.uid() === 0, otherwise: "it needs root" };

/** A test through the built program, with a home and so a daemon of its own; it boots no VM. */
export function freshTest(
  name: string,
  body: (banger: Banger) => Promise<void>,
  ...needs: readonly Need[]
): void {
  Deno.test({ name, ignore: ignored(name, needs), fn: () => withBanger(body) });
}

/**
 * A test with real VMs, on the cached kernel and image. With `config` the daemon has this
 * configuration instead of none.
 */
export function vmTest(
  name: string,
  body: (banger: Banger) => Promise<void>,
  config?: string,
): void {
  const fn = config === undefined
    ? () => withCachedBanger(body)
    : () => withCachedBanger((cached) => withConfiguration(cached, config, body));
  Deno.test({ name, ignore: ignored(name, []), fn });
}

function ignored(name: string, needs: readonly Need[]): boolean {
  const all = [{ met: isBuilt(), otherwise: "build/bin/banger is not built" }, ...needs];
  const missing = all.find(({ met }) => !met);
  return skipUnless(name, missing === undefined, missing?.otherwise ?? "");
}

/** A banger of the cached home whose daemon has this configuration; its VMs are gone afterwards. */
export async function withConfiguration(
  cached: Banger,
  config: string,
  body: (banger: Banger) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-e2e-config-" });
  const banger = new Banger(cached.home, { env: { XDG_CONFIG_HOME: dir } });
  try {
    await Deno.mkdir(`${dir}/banger`, { mode: 0o700 });
    await Deno.writeTextFile(`${dir}/banger/config.toml`, config);
    await body(banger);
  } finally {
    await banger.close();
    await Deno.remove(dir, { recursive: true });
  }
}

/** Writes the configuration file; the daemon reads it when it starts. */
export async function configure(banger: Banger, text: string): Promise<void> {
  const path = (await banger.ok(["config", "path"])).trim();
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(path, text);
}

/** Runs it and checks exit code and words; nothing may be on its stdout. */
export async function refused(
  banger: Banger,
  args: readonly string[],
  code: number,
  words: RegExp,
): Promise<BangerResult> {
  const result = await banger.run(args, { timeoutMs: firstRunMs });
  const said = `banger ${args.join(" ")} ended with ${result.code}:\n${result.stderr}`;
  assert.match(result.stderr, words, said);
  assert.match(result.stderr, /^Error: /m, said);
  assert.equal(result.code, code, said);
  assert.equal(result.stdout, "");
  return result;
}

/** Every VM that the daemon knows. */
export async function vmsOf(banger: Banger): Promise<readonly VmFacts[]> {
  return JSON.parse(await banger.ok(["vm", "list", "--json"])).vms;
}

/** Pid of the daemon that runs. */
export async function daemonPid(banger: Banger): Promise<number> {
  return JSON.parse(await banger.ok(["daemon", "status", "--json"])).daemon.pid;
}

/** Where the daemon keeps its VMs, images and kernels. */
export async function stateDirOf(banger: Banger): Promise<string> {
  return JSON.parse(await banger.ok(["daemon", "status", "--json"])).daemon.stateDir;
}

/** What a directory contains. */
export async function namesIn(dir: string): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(dir)) names.push(name);
  return names;
}

/** Pids of a VM's QEMU: one when it runs. */
export async function vmmPids(vm: VmFacts): Promise<readonly number[]> {
  const pids: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (line.includes("qemu-system") && line.includes(`guest=banger-${vm.id}`)) {
      pids.push(Number(name));
    }
  }
  return pids;
}

/** Command lines of QEMU, passt and the filter between them, of this home. */
export async function guestProcesses(banger: Banger): Promise<readonly string[]> {
  const lines = await banger.processes();
  return lines.filter((line) => /qemu-system|passt|net-filter/.test(line));
}

/** Waits until `condition` holds; fails the test with `what` when it does not in time. */
export async function until(
  what: string,
  condition: () => Promise<boolean>,
  limitMs = 20_000,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (performance.now() < endMs) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`${what}: not within ${limitMs / 1000} s`);
}

/** A run of banger whose output is watched while it goes on. */
export class WatchedRun {
  readonly #child: Deno.ChildProcess;
  readonly #outputs: Promise<unknown>;
  stdout = "";
  stderr = "";

  constructor(banger: Banger, args: readonly string[], cwd?: string) {
    this.#child = banger.start(args, cwd === undefined ? {} : { cwd });
    const { stdin, stdout, stderr } = this.#child;
    this.#outputs = Promise.all([
      stdin.close(),
      read(stdout, (text) => this.stdout += text),
      read(stderr, (text) => this.stderr += text),
    ]);
  }

  /** Waits until `words` have been printed on stdout or stderr. */
  async said(words: RegExp, limitMs = 60_000): Promise<void> {
    await until(
      `${words} is printed`,
      () => Promise.resolve(words.test(this.stdout) || words.test(this.stderr)),
      limitMs,
    );
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits for its end and resolves to the exit code; kills it when it takes longer. */
  async end(limitMs = 60_000): Promise<number> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#child.kill("SIGKILL");
    }, limitMs);
    const { code } = await this.#child.status;
    clearTimeout(timer);
    await this.#outputs;
    assert.ok(!late, `it did not end within ${limitMs / 1000} s:\n${this.stderr}`);
    return code;
  }
}

async function read(
  stream: ReadableStream<Uint8Array>,
  take: (text: string) => void,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) take(text);
}
