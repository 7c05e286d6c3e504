import { BangerError } from "../model/errors.ts";
import { plainEnv, type RunResult, spawnFailure } from "./run.ts";

/** How a program is run on a leash. */
export interface LeashedOptions {
  /** The whole environment; {@linkcode plainEnv} when left out. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Bound on the run; ends it with SIGKILL. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Gets every line of stderr as it comes, at most 4 KiB of each. Never throws. */
  readonly onLine: (line: string) => void;
  /** How much of stdout is kept, in bytes; more ends the run. */
  readonly maxStdoutBytes: number;
}

/** How a leashed program ended. */
export interface LeashedResult extends RunResult {
  /** Signal that ended it; `null` when it exited by itself. */
  readonly endedBy: string | null;
}

const lineLimit = 4096;
const keptLines = 60;
/** Processes of a killed namespace are gone within this; only a stuck kernel takes longer. */
const drainLimitMs = 10_000;

/**
 * Runs a program that must not outlive this process, and reports its stderr line by line. Its stdin
 * is a pipe that nothing is written to and that ends when this process ends, however that comes
 * about: the program is expected to stop then. An abort or the timeout ends it with SIGKILL; the
 * answer waits until everything that shares its output has ended as well.
 *
 * A failing exit code is an answer, not an error.
 *
 * @throws BangerError `precondition` when it is not installed, `cancelled`, `timeout`, `exhausted`
 */
export async function runLeashed(
  program: string,
  args: readonly string[],
  options: LeashedOptions,
): Promise<LeashedResult> {
  if (options.signal.aborted) throw stopped(program, "cancelled", "");
  const child = spawn(program, args, options);
  let reason: "cancelled" | "timeout" | "exhausted" | undefined;
  const end = (why: NonNullable<typeof reason>) => {
    reason ??= why;
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended by itself meanwhile.
    }
  };
  const timer = setTimeout(() => end("timeout"), options.timeoutMs);
  const onAbort = () => end("cancelled");
  options.signal.addEventListener("abort", onAbort, { once: true });
  let drain: ReturnType<typeof setTimeout> | undefined;
  try {
    const tail: string[] = [];
    const output = Promise.all([
      bytesOf(child.stdout, options.maxStdoutBytes, () => end("exhausted")),
      eachLine(child.stderr, (line) => {
        tail.push(line);
        if (tail.length > keptLines) tail.shift();
        options.onLine(line);
      }),
    ]);
    output.catch(() => {});
    const status = await child.status;
    const given = await Promise.race([
      output,
      new Promise<undefined>((resolve) => drain = setTimeout(resolve, drainLimitMs, undefined)),
    ]);
    const stderr = tail.join("\n");
    if (reason !== undefined) throw stopped(program, reason, stderr);
    const stdout = given?.[0] ?? new Uint8Array(0);
    return { code: status.code, endedBy: status.signal, stdout, stderr };
  } finally {
    clearTimeout(timer);
    clearTimeout(drain);
    options.signal.removeEventListener("abort", onAbort);
    // Only now: closing it is what tells a program that still runs to stop.
    await child.stdin.close().catch(() => {});
  }
}

function spawn(
  program: string,
  args: readonly string[],
  options: LeashedOptions,
): Deno.ChildProcess {
  try {
    return new Deno.Command(program, {
      args: [...args],
      clearEnv: true,
      env: { ...(options.env ?? plainEnv) },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    }).spawn();
  } catch (cause) {
    throw spawnFailure(program, cause);
  }
}

async function bytesOf(
  stream: ReadableStream<Uint8Array>,
  limitBytes: number,
  onLimit: () => void,
): Promise<Uint8Array> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let total = 0;
  for await (const chunk of stream) {
    total += chunk.length;
    if (total > limitBytes) onLimit();
    else chunks.push(new Uint8Array(chunk));
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

async function eachLine(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/[\r\n]+/);
    rest = (lines.pop() ?? "").slice(0, lineLimit);
    for (const line of lines) if (line !== "") onLine(line.slice(0, lineLimit));
  }
  if (rest !== "") onLine(rest);
}

function stopped(
  program: string,
  reason: "cancelled" | "timeout" | "exhausted",
  stderr: string,
): BangerError {
  const detail = stderr === "" ? {} : { detail: stderr };
  switch (reason) {
    case "cancelled":
      return new BangerError("cancelled", `Stopped "${program}": cancelled`, detail);
    case "timeout":
      return new BangerError("timeout", `Cannot finish "${program}": it timed out`, detail);
    case "exhausted":
      return new BangerError("exhausted", `Cannot use "${program}": it printed too much`, detail);
  }
}
