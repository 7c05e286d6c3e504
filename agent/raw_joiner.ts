import type { MuxStream } from "../src/wire/mux_stream.ts";
import { readText } from "./files.ts";
import { lingerBytes, lingerMs, silenceMs } from "./linger.ts";

/** A look at a joiner every so often, the first ones sooner. */
const firstLookMs = 5;
const lookMs = 100;

/** What of the kit moves bytes between a program's pipe and a raw connection. */
export interface RawJoiner {
  /** Path of its ticket; see `rawJoinScript` for the files beside it. */
  readonly ticket: string;
}

/**
 * Settles when an output's joiner is over; true when it was ended before the output was. It is ended
 * when the stream is reset, or when a child in the background holds the pipe some time after `exited`
 * settled: the same limits as on the agent link.
 */
export async function joinerEnd(
  joiner: RawJoiner,
  stream: MuxStream,
  exited: Promise<unknown>,
): Promise<boolean> {
  let isReset = false;
  let givenUp = false;
  stream.ended.then((end) => {
    isReset = end.how === "reset";
    if (isReset) kill(joiner);
  });
  await exited;
  const watch = new JoinerWatch(joiner);
  for (let delay = firstLookMs; endOf(joiner) === undefined; delay = Math.min(lookMs, delay * 2)) {
    givenUp ||= isReset || watch.isTooLong();
    if (givenUp) kill(joiner);
    if (isReset) break;
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
  return givenUp;
}

/** Decides when a joiner is ended after the exit of its program. */
class JoinerWatch {
  readonly #joiner: RawJoiner;
  readonly #firstBytes: number;
  #bytes: number;
  #lastLookMs = performance.now();
  #silentMs = 0;
  #spentMs = 0;

  constructor(joiner: RawJoiner) {
    this.#joiner = joiner;
    this.#firstBytes = bytesRead(joiner);
    this.#bytes = this.#firstBytes;
  }

  isTooLong(): boolean {
    const bytes = bytesRead(this.#joiner);
    const fd = blockedFd(this.#joiner);
    const now = performance.now();
    const passedMs = now - this.#lastLookMs;
    this.#silentMs = fd === 0 && bytes === this.#bytes ? this.#silentMs + passedMs : 0;
    // What it waits for the host does not count.
    if (fd !== 1) this.#spentMs += passedMs;
    this.#bytes = bytes;
    this.#lastLookMs = now;
    return this.#silentMs > silenceMs || this.#spentMs > lingerMs ||
      bytes - this.#firstBytes > lingerBytes;
  }
}

/** Exit code of what moved the bytes, `undefined` while it does. */
function endOf({ ticket }: RawJoiner): string | undefined {
  return readText(`${ticket}.end`)?.trim() || undefined;
}

function pidOf({ ticket }: RawJoiner): number {
  return Number(readText(`${ticket}.pid`) ?? 0);
}

function kill(joiner: RawJoiner): void {
  const pid = pidOf(joiner);
  if (pid <= 1 || endOf(joiner) !== undefined) return;
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It ended just now.
  }
}

function bytesRead(joiner: RawJoiner): number {
  return Number(/^rchar: (\d+)/m.exec(readText(`/proc/${pidOf(joiner)}/io`) ?? "")?.[1] ?? 0);
}

/** The descriptor at which it waits: the first argument of the system call (proc(5), syscall). */
function blockedFd(joiner: RawJoiner): number | undefined {
  const call = readText(`/proc/${pidOf(joiner)}/syscall`) ?? "";
  const argument = /^\d+ (0x[0-9a-f]+) /.exec(call)?.[1];
  return argument === undefined ? undefined : Number(argument);
}
