import assert from "node:assert/strict";
import { Paths } from "../../src/paths/paths.ts";

/** How a run of banger ended. */
export interface BangerResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: Uint8Array;
}

/** How banger is run. */
export interface BangerRun {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
  /** Bound on the run; 60 s when left out. */
  readonly timeoutMs?: number;
}

/** Which banger is run, and as whom. */
export interface BangerOptions {
  /** The program; the built one when left out. */
  readonly program?: string;
  /** Words in front of every command line, such as `nsenter …` or `setpriv …`. */
  readonly via?: readonly string[];
  /** More environment for every run. */
  readonly env?: Readonly<Record<string, string>>;
}

const builtProgram = new URL("../../build/bin/banger", import.meta.url).pathname;

/** Whether `make build` has been run. */
export function isBuilt(): boolean {
  try {
    return Deno.statSync(builtProgram).isFile;
  } catch {
    return false;
  }
}

/** The built banger with a home directory of its own, and so with a daemon of its own. */
export class Banger {
  readonly home: string;
  /** The environment of every run. */
  readonly env: Readonly<Record<string, string>>;

  readonly #program: string;
  readonly #via: readonly string[];

  constructor(home: string, options: BangerOptions = {}) {
    this.home = home;
    this.#program = options.program ?? builtProgram;
    this.#via = options.via ?? [];
    const path = "/usr/local/bin:/usr/bin:/bin";
    this.env = { PATH: path, HOME: home, ...runtimeOf(), ...options.env };
  }

  /** Runs it to its end. A run that takes too long is killed and fails the test. */
  async run(args: readonly string[], options: BangerRun = {}): Promise<BangerResult> {
    const child = this.start(args, options);
    const { stdin = "" } = options;
    const bytes = typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin;
    const fed = feed(child.stdin, bytes);
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 60_000);
    try {
      const [{ code, signal }, stdoutBytes, stderr] = await Promise.all([
        child.status,
        new Response(child.stdout).bytes(),
        new Response(child.stderr).text(),
        fed,
      ]);
      assert.notEqual(signal, "SIGKILL", `banger ${args.join(" ")} took too long:\n${stderr}`);
      return { code, stdout: new TextDecoder().decode(stdoutBytes), stderr, stdoutBytes };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Runs it and fails the test unless it succeeds; answers its stdout. */
  async ok(args: readonly string[], options: BangerRun = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    assert.equal(code, 0, `banger ${args.join(" ")} ended with ${code}:\n${stderr}`);
    return stdout;
  }

  /** Starts it with three pipes; the caller waits for it. */
  start(args: readonly string[], options: BangerRun = {}): Deno.ChildProcess {
    return this.#command(this.#program, args, options).spawn();
  }

  /** Runs a bash script in which `banger` is the built one, and `$PROGRAM` its path. */
  async script(text: string, options: BangerRun = {}): Promise<BangerResult> {
    const words = `PROGRAM=${this.#program}; banger() { "$PROGRAM" "$@"; }\n${text}`;
    const child = this.#command("bash", ["-c", words], options).spawn();
    await child.stdin.close();
    const { code, stdout, stderr } = await child.output();
    return {
      code,
      stdout: new TextDecoder().decode(stdout),
      stderr: new TextDecoder().decode(stderr),
      stdoutBytes: stdout,
    };
  }

  /** Deletes every VM, ends the daemon, and fails the test when a process of either is left. */
  async close(): Promise<void> {
    const { code, stdout } = await this.run(["vm", "list", "--json"]);
    const { vms } = code === 0 ? JSON.parse(stdout) as { vms: { name: string }[] } : { vms: [] };
    for (const { name } of vms) await this.run(["vm", "delete", "--force", name]);
    await this.run(["daemon", "stop", "--force"]);
    for (let turn = 0; turn < 100 && (await this.processes()).length > 0; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.deepEqual(await this.processes(), [], "processes are left");
  }

  /**
   * Command lines of processes whose environment or arguments name this home directory, or whose
   * arguments name the directory of its sockets (QEMU and passt know no more of it than that).
   */
  async processes(): Promise<readonly string[]> {
    const found: string[] = [];
    const sockets = `/${new Paths({ uid: 0, home: this.home }).runtimeDir.split("/").at(-1)}/`;
    for await (const { name } of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
      const [line, env] = await Promise.all([
        Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => ""),
        Deno.readTextFile(`/proc/${name}/environ`).catch(() => ""),
      ]);
      const mine = env.split("\0").includes(`HOME=${this.home}`) ||
        line.includes(`${this.home}/`) ||
        line.includes(sockets);
      if (mine && line !== "") found.push(line.replaceAll("\0", " "));
    }
    return found;
  }

  #command(command: string, args: readonly string[], options: BangerRun): Deno.Command {
    const [first = command, ...rest] = [...this.#via, command, ...args];
    return new Deno.Command(first, {
      args: rest,
      cwd: options.cwd ?? "/",
      clearEnv: true,
      env: { ...this.env, ...options.env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    });
  }
}

/** A banger whose home directory is gone afterwards. */
export async function withBanger(body: (banger: Banger) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "banger-e2e-" });
  const banger = new Banger(home);
  // One that an interrupted run left may be another build.
  await banger.run(["daemon", "stop", "--force"]);
  try {
    await body(banger);
  } finally {
    const { code, stdout } = await banger.run(["daemon", "status", "--json"]);
    await banger.close();
    await Deno.remove(home, { recursive: true });
    // The directory of the sockets outlives the daemon, and must be empty then.
    if (code === 0) await Deno.remove(JSON.parse(stdout).daemon.socketPath.replace(/\/[^/]*$/, ""));
  }
}

/**
 * The banger that all VM tests share, with kernel, image and kit cached across runs below the user's
 * own cache. Its VMs are gone afterwards.
 */
export async function withCachedBanger(body: (banger: Banger) => Promise<void>): Promise<void> {
  const home = `${Deno.env.get("HOME")}/.cache/banger-tests/home`;
  await Deno.mkdir(home, { recursive: true, mode: 0o700 });
  const banger = new Banger(home);
  try {
    await body(banger);
  } finally {
    await banger.close();
  }
}

/** The unpacked program is shared: unpacking it for every home directory would take a second each. */
function runtimeOf(): Readonly<Record<string, string>> {
  const own = Deno.env.get("BANGER_RUNTIME_DIR");
  return { BANGER_RUNTIME_DIR: own ?? `${Deno.env.get("HOME")}/.cache/banger/runtime` };
}

async function feed(stdin: WritableStream<Uint8Array>, bytes: Uint8Array): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(bytes);
    await writer.close();
  } catch {
    // It ended without reading its stdin.
  }
}
