import { plainEnv, spawnFailure } from "./run.ts";

/** How a program is asked. */
export interface AskOptions {
  /** All of its standard input. */
  readonly stdin: Uint8Array;
  /** The whole environment; {@linkcode plainEnv} when left out. */
  readonly env?: Readonly<Record<string, string>>;
  /** Bound on the whole exchange; the program is killed then. */
  readonly timeoutMs: number;
  /** More output than this kills it, too. */
  readonly maxStdoutBytes: number;
  readonly signal: AbortSignal;
}

/** What became of it. */
export type Answer =
  | { readonly kind: "answered"; readonly code: number; readonly stdout: Uint8Array }
  | { readonly kind: "timeout" | "too_long" };

/**
 * Asks a program for a secret: gives it `stdin` and takes its stdout. What it says is in no error
 * and no log, and its stderr goes nowhere. Returns in bounded time whatever it does: SIGKILL ends it, and
 * children that it leaves behind are not waited for.
 *
 * @throws BangerError `precondition` when it is not installed; the signal's reason
 */
export async function askProgram(
  program: string,
  args: readonly string[],
  options: AskOptions,
): Promise<Answer> {
  options.signal.throwIfAborted();
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args: [...args],
      clearEnv: true,
      env: { ...(options.env ?? plainEnv) },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
  } catch (cause) {
    throw spawnFailure(program, cause);
  }
  const { promise: stopped, resolve: stop } = Promise.withResolvers<"timeout" | "cancelled">();
  const timer = setTimeout(stop, options.timeoutMs, "timeout" as const);
  const onAbort = () => stop("cancelled");
  options.signal.addEventListener("abort", onAbort, { once: true });
  const reader = child.stdout.getReader();
  try {
    const fed = feed(child, options.stdin);
    const output = collect(reader, options.maxStdoutBytes);
    const end = await Promise.race([stopped, output]);
    if (end === "cancelled") throw options.signal.reason;
    if (end === "timeout" || end === "too_long") return { kind: end };
    const status = await Promise.race([stopped, child.status]);
    if (status === "cancelled") throw options.signal.reason;
    if (status === "timeout") return { kind: "timeout" };
    await fed;
    return { kind: "answered", code: status.code, stdout: end };
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener("abort", onAbort);
    killQuietly(child);
    await reader.cancel().catch(() => {});
    await child.status;
  }
}

async function feed(child: Deno.ChildProcess, bytes: Uint8Array): Promise<void> {
  const writer = child.stdin.getWriter();
  try {
    await writer.write(bytes);
    await writer.close();
  } catch {
    // It ended without reading everything; its answer tells whether that is bad.
  }
}

async function collect(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array | "too_long"> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    if (bytes > maxBytes) return "too_long";
    chunks.push(value);
  }
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

function killQuietly(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended already.
  }
}
