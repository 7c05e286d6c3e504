import { BangerError } from "../model/errors.ts";
import { plainEnv, spawnFailure } from "./run.ts";

/** How a program that filters a stream is run. */
export interface StreamProgramOptions {
  /** More output than this is an error. */
  readonly maxStdoutBytes: number;
  readonly signal?: AbortSignal;
}

const stderrKeptChars = 2_000;

/**
 * Runs `program` as a filter from `input` to the chunks that it yields, with nothing held in
 * memory. Stopping the iteration early kills the program.
 *
 * @throws BangerError `precondition` when it is not installed, `cancelled`, `exhausted` when it
 * prints more than allowed, `untrusted` when it ends with a failure: it refuses its input
 */
export async function* streamProgram(
  program: string,
  args: readonly string[],
  input: AsyncIterable<Uint8Array>,
  options: StreamProgramOptions,
): AsyncGenerator<Uint8Array> {
  const child = spawnFilter(program, args);
  const stop = () => killQuietly(child);
  options.signal?.addEventListener("abort", stop, { once: true });
  const fed = feed(child, input);
  const stderr = new Response(child.stderr).text();
  let total = 0;
  try {
    if (options.signal?.aborted === true) stop();
    for await (const chunk of readAhead(child.stdout)) {
      total += chunk.length;
      if (total > options.maxStdoutBytes) {
        const limit = `more than ${options.maxStdoutBytes} bytes came out of it`;
        throw new BangerError("exhausted", `Cannot use "${program}": ${limit}`);
      }
      yield chunk;
    }
    const [status, words, inputError] = await Promise.all([child.status, stderr, fed]);
    if (options.signal?.aborted === true) {
      throw new BangerError("cancelled", `Stopped "${program}": cancelled`);
    }
    if (inputError !== undefined) throw inputError;
    if (!status.success) {
      throw new BangerError("untrusted", `Cannot unpack with "${program}": it refuses the data`, {
        detail: words.trim().slice(-stderrKeptChars),
      });
    }
  } finally {
    options.signal?.removeEventListener("abort", stop);
    killQuietly(child);
    await Promise.allSettled([child.status, stderr, fed]);
  }
}

/** What the program prints; the next chunk is read while the caller works on this one. */
async function* readAhead(stdout: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stdout.getReader();
  try {
    let next = reader.read();
    for (;;) {
      const { value } = await next;
      if (value === undefined) return;
      next = reader.read();
      // It is looked at in the next turn, or not at all.
      next.catch(() => {});
      yield value;
    }
  } finally {
    await reader.cancel();
  }
}

function spawnFilter(program: string, args: readonly string[]): Deno.ChildProcess {
  try {
    return new Deno.Command(program, {
      args: [...args],
      clearEnv: true,
      env: { ...plainEnv },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (cause) {
    throw spawnFailure(program, cause);
  }
}

/** Writes `input`; answers what reading it threw. That the program reads no more is not an error. */
async function feed(
  child: Deno.ChildProcess,
  input: AsyncIterable<Uint8Array>,
): Promise<unknown> {
  const writer = child.stdin.getWriter();
  let readError: unknown;
  const source = input[Symbol.asyncIterator]();
  try {
    for (;;) {
      let next: IteratorResult<Uint8Array>;
      try {
        next = await source.next();
      } catch (error) {
        readError = error;
        break;
      }
      if (next.done === true) break;
      await writer.write(next.value);
    }
    await writer.close();
  } catch {
    // A broken pipe: the program's exit code tells whether that is bad.
  } finally {
    await source.return?.();
  }
  return readError;
}

function killQuietly(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended already.
  }
}
