import { BangerError } from "../model/errors.ts";
import { plainEnv, spawnFailure } from "./run.ts";

/** How a program is started whose output is read while it runs. */
export interface PipedProgramOptions {
  /** Bytes for its standard input; none when left out. */
  readonly stdin?: Uint8Array;
  readonly cwd?: string;
  /** The whole environment; {@linkcode plainEnv} when left out. */
  readonly env?: Readonly<Record<string, string>>;
  /** Ends the program with SIGKILL. */
  readonly signal: AbortSignal;
}

/** How a {@linkcode PipedProgram} ended. */
export interface PipedProgramEnd {
  readonly code: number;
  /** The last 8 KiB of its stderr. */
  readonly stderr: string;
}

/** A program that runs, with its output as a stream. */
export interface PipedProgram {
  /** Chunks of its stdout; a reader that stops early ends the program. */
  readonly stdout: ReadableStream<Uint8Array>;
  /**
   * Settles when it has ended; any exit code is an answer.
   * Rejects with BangerError `cancelled` when the signal aborted.
   */
  readonly ended: Promise<PipedProgramEnd>;
}

const stderrKeptBytes = 8 * 1024;

/**
 * Starts a program and hands out its stdout as it comes, with nothing of it held in memory.
 *
 * @throws BangerError `precondition` when it is not installed, `cancelled`
 */
export function startPipedProgram(
  program: string,
  args: readonly string[],
  options: PipedProgramOptions,
): PipedProgram {
  if (options.signal.aborted) throw cancelled(program);
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args: [...args],
      clearEnv: true,
      env: { ...(options.env ?? plainEnv) },
      stdin: options.stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      signal: options.signal,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    }).spawn();
  } catch (cause) {
    throw spawnFailure(program, cause);
  }
  const ended = finish(program, child, options);
  // Whoever reads stdout may never come to look at it.
  ended.catch(() => {});
  return { stdout: child.stdout, ended };
}

async function finish(
  program: string,
  child: Deno.ChildProcess,
  options: PipedProgramOptions,
): Promise<PipedProgramEnd> {
  const [status, stderr] = await Promise.all([
    child.status,
    tailOf(child.stderr),
    options.stdin === undefined ? undefined : feed(child, options.stdin),
  ]);
  if (options.signal.aborted) throw cancelled(program);
  return { code: status.code, stderr };
}

async function feed(child: Deno.ChildProcess, bytes: Uint8Array): Promise<void> {
  const writer = child.stdin.getWriter();
  try {
    await writer.write(bytes);
    await writer.close();
  } catch {
    // It ended without reading everything; its exit code tells whether that is bad.
  }
}

async function tailOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let tail = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    tail = (tail + decoder.decode(chunk, { stream: true })).slice(-stderrKeptBytes);
  }
  return tail;
}

function cancelled(program: string): BangerError {
  return new BangerError("cancelled", `Stopped "${program}": cancelled`);
}
