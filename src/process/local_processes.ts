import { BangerError } from "../model/errors.ts";
import { ExitWatch } from "./exit_watch.ts";
import { findProgram } from "./find_program.ts";
import type { HostProcesses, LaunchSpec, ProcessExit, ProcessHandle } from "./host_processes.ts";
import { launchCommand, type LaunchTools } from "./launch_command.ts";
import { isRunning, parseProcStat, type ProcStat } from "./proc_stat.ts";
import { plainEnv, spawnFailure } from "./run.ts";
import { StderrFile } from "./stderr_file.ts";

/** How long shell and setpriv may take until the program itself runs. */
const execTimeoutMs = 5_000;
/** How often the size of the stderr files is looked at. */
const trimEveryMs = 5_000;
/** How many ended children are remembered, for callers that ask late. */
const rememberedExits = 256;

/** Where the programs are, if not where the fixed PATH says. */
export interface LocalProcessesOptions {
  /** Absolute path of QEMU (`qemu_bin` of the configuration). */
  readonly qemuBin?: string;
  /** Absolute path of passt. */
  readonly passtBin?: string;
  /** Name of QEMU's system emulator; `qemu-system-x86_64` when left out. */
  readonly qemuName?: string;
  /** What `net_filter` is. */
  readonly netFilter?: OwnProgram;
}

/** A role of banger's own that runs like a VMM: as another user that has no right to any path. */
export interface OwnProgram {
  /** Absolute path; it is executed through a descriptor, so its directories may be closed to others. */
  readonly programPath: string;
  /** A file to become its standard input. */
  readonly stdinPath: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** Its whole arguments, from those of the launch. */
  readonly argsFor: (args: readonly string[]) => readonly string[];
}

interface Child {
  readonly process: Deno.ChildProcess;
  readonly exit: Promise<ProcessExit>;
  running: boolean;
  /** How many callers wait; a child that nobody waits for does not keep this process alive. */
  waiters: number;
}

/**
 * Starts and watches long-lived programs on this host, with the full rights of the process it runs
 * in: it reads `/proc` and sends signals. Programs get a session of their own, a fixed environment,
 * the root directory as working directory and `no_new_privs`.
 */
export class LocalProcesses implements HostProcesses {
  readonly #options: LocalProcessesOptions;
  readonly #children = new Map<string, Child>();
  readonly #stderrFiles = new Set<StderrFile>();
  readonly #exits = new ExitWatch(isAlive);
  #trimTimer: ReturnType<typeof setInterval> | undefined;

  constructor(options: LocalProcessesOptions = {}) {
    this.#options = options;
  }

  async launch(spec: LaunchSpec): Promise<ProcessHandle> {
    const [shell, setpriv] = await Promise.all([findProgram("sh"), findProgram("setpriv")]);
    const tools: LaunchTools = { shell: shell ?? "/bin/sh", setpriv: setpriv ?? null };
    const [[command, ...args], env] = await this.#commandOf(spec, tools);
    if (command === undefined) throw new BangerError("internal", "Cannot start an empty command");
    const stderr = new StderrFile(spec.stderrPath);
    await stderr.empty();
    const process = spawnDetached(command, args, env);
    process.unref();
    return await this.#watch(process, stderr);
  }

  // deno-lint-ignore require-await
  async alive(handle: ProcessHandle): Promise<boolean> {
    return isAlive(handle);
  }

  // deno-lint-ignore require-await
  async signal(handle: ProcessHandle, signal: "SIGTERM" | "SIGKILL"): Promise<boolean> {
    const child = this.#children.get(keyOf(handle));
    if (child?.running === false || !isAlive(handle)) return false;
    try {
      // A child's pid stays taken until it is waited for; for others the check was just made.
      if (child === undefined) Deno.kill(handle.pid, signal);
      else child.process.kill(signal);
      this.#exits.expectEnd(handle);
      return true;
    } catch (cause) {
      if (cause instanceof Deno.errors.NotFound || cause instanceof TypeError) return false;
      if (cause instanceof Deno.errors.BadResource) return false;
      throw new BangerError("internal", `Cannot signal process ${handle.pid}: it is refused`, {
        cause,
      });
    }
  }

  async exited(handle: ProcessHandle, signal: AbortSignal): Promise<ProcessExit> {
    const child = this.#children.get(keyOf(handle));
    if (child !== undefined) return await waitForChild(child, signal);
    await this.#exits.until(handle, signal);
    return { code: null, signal: null, stderr: "" };
  }

  async #commandOf(
    spec: LaunchSpec,
    tools: LaunchTools,
  ): Promise<readonly [readonly string[], Readonly<Record<string, string>>]> {
    if (spec.program !== "net_filter") {
      return [launchCommand(spec, await this.#find(spec.program), tools), plainEnv];
    }
    const own = this.#options.netFilter;
    if (own === undefined) {
      throw new BangerError("internal", 'Cannot start "net_filter": nobody said what it is');
    }
    // The program's file comes first, so that it is descriptor 3.
    const files = [{ path: own.programPath, access: "read" } as const, ...spec.files];
    const ownSpec = { ...spec, files, args: own.argsFor(spec.args) };
    const command = launchCommand(ownSpec, "/proc/self/fd/3", tools, own.stdinPath);
    return [command, { ...plainEnv, ...own.env }];
  }

  async #find(program: "qemu" | "passt"): Promise<string> {
    const { qemuBin, passtBin, qemuName } = this.#options;
    const name = program === "qemu"
      ? qemuBin ?? qemuName ?? "qemu-system-x86_64"
      : passtBin ?? "passt";
    const path = await findProgram(name);
    if (path !== undefined) return path;
    throw new BangerError("precondition", `Cannot run "${name}": it is not installed`, {
      hint: program === "qemu"
        ? "Run: apt-get install --no-install-recommends qemu-system-x86"
        : "Run: apt-get install --no-install-recommends passt",
    });
  }

  async #watch(
    process: Deno.ChildProcess,
    stderr: StderrFile,
  ): Promise<ProcessHandle> {
    // One that has ended already, and was waited for, has no start time left: 0 fits no process.
    const stat = readStat(process.pid);
    const handle: ProcessHandle = { pid: process.pid, startTicks: stat?.startTicks ?? 0 };
    const child: Child = {
      process,
      running: true,
      waiters: 0,
      exit: process.status.then(async (status): Promise<ProcessExit> => {
        child.running = false;
        this.#stopTrimming(stderr);
        return {
          code: status.signal === null ? status.code : null,
          signal: status.signal,
          stderr: await stderr.readEnd(),
        };
      }),
    };
    this.#children.set(keyOf(handle), child);
    this.#forgetOldExits();
    this.#startTrimming(stderr);
    await this.#untilExecd(handle, child);
    return handle;
  }

  /** Shell and setpriv keep the pid; the name changes when the program itself takes over. */
  async #untilExecd(handle: ProcessHandle, child: Child): Promise<void> {
    const launchers = new Set(["sh", "dash", "bash", "busybox", "setpriv"]);
    const deadline = performance.now() + execTimeoutMs;
    while (child.running && performance.now() < deadline) {
      const stat = readStat(handle.pid);
      if (stat === undefined || !isRunning(stat) || !launchers.has(stat.comm)) return;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  #forgetOldExits(): void {
    for (const [key, child] of this.#children) {
      if (this.#children.size <= rememberedExits) return;
      if (!child.running) this.#children.delete(key);
    }
  }

  #startTrimming(stderr: StderrFile): void {
    this.#stderrFiles.add(stderr);
    if (this.#trimTimer !== undefined) return;
    this.#trimTimer = setInterval(() => {
      for (const file of this.#stderrFiles) void file.trim();
    }, trimEveryMs);
    Deno.unrefTimer(this.#trimTimer);
  }

  #stopTrimming(stderr: StderrFile): void {
    this.#stderrFiles.delete(stderr);
    if (this.#stderrFiles.size > 0) return;
    clearInterval(this.#trimTimer);
    this.#trimTimer = undefined;
  }
}

function spawnDetached(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Deno.ChildProcess {
  try {
    return new Deno.Command(command, {
      args: [...args],
      clearEnv: true,
      env: { ...env },
      cwd: "/",
      detached: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  } catch (cause) {
    throw spawnFailure(command, cause);
  }
}

function keyOf(handle: ProcessHandle): string {
  return `${handle.pid}:${handle.startTicks}`;
}

function isAlive(handle: ProcessHandle): boolean {
  const stat = readStat(handle.pid);
  return stat !== undefined && stat.startTicks === handle.startTicks && isRunning(stat);
}

/** The kernel answers at once; handing the read to another thread would cost ten times as much. */
function readStat(pid: number): ProcStat | undefined {
  try {
    return parseProcStat(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return undefined;
  }
}

async function waitForChild(child: Child, signal: AbortSignal): Promise<ProcessExit> {
  if (child.running && child.waiters++ === 0) ifItIsThere(() => child.process.ref());
  try {
    return await abortable(child.exit, signal);
  } finally {
    if (child.running && --child.waiters === 0) ifItIsThere(() => child.process.unref());
  }
}

/** A process that has just ended is gone for Deno a moment before its status is told. */
function ifItIsThere(body: () => void): void {
  try {
    body();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
