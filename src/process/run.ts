/**
 * The only room in which banger starts programs on the host.
 *
 * Owns: finding programs, running them to their end with bounded output, and starting long-lived
 * ones. Every exec is greppable here. Must not import anything above rank 1.
 */
import { BangerError } from "../model/errors.ts";

/** How a program is run to its end. */
export interface RunOptions {
  /** Bytes for its standard input; none when left out. */
  readonly stdin?: Uint8Array | ReadableStream<Uint8Array>;
  readonly cwd?: string;
  /** The whole environment; nothing is inherited. A fixed PATH and `LC_ALL=C` when left out. */
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
  /** Bound on the run, in milliseconds; then SIGTERM, {@linkcode graceMs} later SIGKILL, and a `timeout` error. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** How much of stdout is kept, in bytes; more is an error. 16 MiB when left out. */
  readonly maxStdoutBytes?: number;
  /** Exit codes that are not a failure; only 0 when left out. */
  readonly okCodes?: readonly number[];
}

/** What a finished program left. */
export interface RunResult {
  readonly code: number;
  readonly stdout: Uint8Array;
  /** The last 8 KiB of stderr, decoded. */
  readonly stderr: string;
}

/** The environment that programs get unless the caller says otherwise. */
export const plainEnv: Readonly<Record<string, string>> = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C",
};

const stderrKeptBytes = 8 * 1024;

/** How long a program that is ended may take to tidy up before SIGKILL, in milliseconds. */
const graceMs = 2_000;
/** How long what it started may hold its output open once it has been ended, in milliseconds. */
const drainMs = 500;

/**
 * Runs `program` (an absolute path, or a name that the fixed PATH resolves) with `args` and waits.
 *
 * @throws BangerError `precondition` when it is not installed, `timeout`, `cancelled`, `exhausted`
 * when it prints more than allowed, `internal` when it fails (argv, exit and the end of its stderr
 * are in message and detail).
 */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  options.signal?.throwIfAborted();
  const child = spawnChild(program, args, options);
  let reason: "timeout" | "cancelled" | "exhausted" | undefined;
  let kill: ReturnType<typeof setTimeout> | undefined;
  let drain: ReturnType<typeof setTimeout> | undefined;
  let abandon = () => {};
  const abandoned = new Promise<undefined>((resolve) => abandon = () => resolve(undefined));
  const end = (why: NonNullable<typeof reason>) => {
    if (reason !== undefined) return;
    reason = why;
    signalChild(child, "SIGTERM");
    kill = setTimeout(() => signalChild(child, "SIGKILL"), graceMs);
    void child.status.then(() => drain = setTimeout(abandon, drainMs));
  };
  const timer = options.timeoutMs === undefined
    ? undefined
    : setTimeout(() => end("timeout"), options.timeoutMs);
  const onAbort = () => end("cancelled");
  options.signal?.addEventListener("abort", onAbort, { once: true });
  const left = new AbortController();
  try {
    const limit = options.maxStdoutBytes ?? 16 * 1024 * 1024;
    const ended = Promise.all([
      collect(child.stdout, limit, () => end("exhausted"), left.signal),
      collectTail(child.stderr, left.signal),
      child.status,
      feed(child, options.stdin, left.signal),
    ]);
    const all = await Promise.race([ended, abandoned]);
    if (all === undefined) {
      ended.catch(() => {});
      throw failure(program, args, reason ?? "timeout", "");
    }
    const [stdout, stderr, status] = all;
    if (reason !== undefined) throw failure(program, args, reason, stderr);
    const ok = options.okCodes ?? [0];
    if (!ok.includes(status.code)) {
      throw failure(program, args, status.signal ?? `exit code ${status.code}`, stderr);
    }
    return { code: status.code, stdout, stderr };
  } finally {
    clearTimeout(timer);
    clearTimeout(kill);
    clearTimeout(drain);
    signalChild(child, "SIGKILL");
    left.abort();
    options.signal?.removeEventListener("abort", onAbort);
  }
}

function signalChild(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended by itself meanwhile.
  }
}

function spawnChild(
  program: string,
  args: readonly string[],
  options: RunOptions,
): Deno.ChildProcess {
  try {
    return new Deno.Command(program, {
      args: [...args],
      clearEnv: true,
      env: { ...(options.env ?? plainEnv) },
      stdin: options.stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    }).spawn();
  } catch (cause) {
    throw spawnFailure(program, cause);
  }
}

/** The error for a program that could not be started. */
export function spawnFailure(program: string, cause: unknown): BangerError {
  if (cause instanceof Deno.errors.NotFound) {
    return new BangerError("precondition", `Cannot run "${program}": it is not installed`, {
      hint: "banger doctor lists what is missing and how to install it",
      cause,
    });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BangerError("internal", `Cannot run "${program}": ${why}`, { cause });
}

async function feed(
  child: Deno.ChildProcess,
  stdin: RunOptions["stdin"],
  left: AbortSignal,
): Promise<void> {
  if (stdin === undefined) return;
  try {
    if (stdin instanceof Uint8Array) {
      const writer = child.stdin.getWriter();
      await writer.write(stdin);
      await writer.close();
    } else {
      await stdin.pipeTo(child.stdin, { signal: left });
    }
  } catch (cause) {
    // A program may end without reading all of its input; its exit code tells whether that is bad.
    if (!(cause instanceof Deno.errors.BrokenPipe)) throw cause;
  }
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  limitBytes: number,
  onLimit: () => void,
  left: AbortSignal,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of until(left, stream)) {
    total += chunk.length;
    if (total > limitBytes) onLimit();
    else chunks.push(chunk);
  }
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** The chunks of `stream`, which is let go of when nobody waits for them any more. */
async function* until(
  left: AbortSignal,
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  const letGo = () => void reader.cancel().catch(() => {});
  left.addEventListener("abort", letGo, { once: true });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    left.removeEventListener("abort", letGo);
    letGo();
  }
}

async function collectTail(
  stream: ReadableStream<Uint8Array>,
  left: AbortSignal,
): Promise<string> {
  let tail = new Uint8Array(0);
  for await (const chunk of until(left, stream)) {
    const joined = new Uint8Array(tail.length + chunk.length);
    joined.set(tail);
    joined.set(chunk, tail.length);
    tail = joined.slice(Math.max(0, joined.length - stderrKeptBytes));
  }
  return new TextDecoder().decode(tail);
}

function failure(
  program: string,
  args: readonly string[],
  how: string,
  stderr: string,
): BangerError {
  const argv = [program, ...args].join(" ");
  const detail = stderr.trim() === "" ? argv : `${argv}\n${stderr.trim()}`;
  switch (how) {
    case "timeout":
      return new BangerError("timeout", `Cannot finish "${program}": it timed out`, { detail });
    case "cancelled":
      return new BangerError("cancelled", `Stopped "${program}": cancelled`, { detail });
    case "exhausted":
      return new BangerError("exhausted", `Cannot use "${program}": it printed too much`, {
        detail,
      });
    default:
      return new BangerError("internal", `Cannot finish "${program}": it ended with ${how}`, {
        detail,
      });
  }
}
