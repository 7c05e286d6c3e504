import type { Channel } from "../src/wire/frame.ts";
import type { MuxStream } from "../src/wire/mux_stream.ts";
import { lingerBytes, lingerMs, silenceMs } from "./linger.ts";
import { joinerEnd } from "./raw_joiner.ts";
import { sleep } from "./sleep.ts";
import type { RawPipes } from "./raw_pipes.ts";

/**
 * Copies what a program prints to `channel` until the pipe is closed. A child left in the
 * background may hold it for ever: some time after `exited` settles it is given up. Much output
 * moves to a raw connection. Never rejects.
 */
export async function forwardOutput(
  output: ReadableStream<Uint8Array>,
  stream: MuxStream,
  channel: Channel,
  exited: Promise<unknown>,
  raw: RawPipes,
): Promise<void> {
  const name = channel === 0 ? "stdout" : "stderr";
  const reader = output.getReader();
  const watch = new LingerWatch(() => void reader.cancel().catch(() => {}));
  exited.then(() => watch.start());
  let moved = 0;
  try {
    for (;;) {
      watch.reading(true);
      const { done, value } = await reader.read();
      watch.reading(false);
      if (done) break;
      await stream.write(value, channel);
      watch.passed(value.length);
      moved += value.length;
      // Nothing is being read now, so that what is in the pipe is the other program's.
      const joiner = raw.wants(moved) ? await raw.offer(name) : null;
      if (joiner === null) continue;
      watch.stop();
      await reader.cancel();
      stream.end(channel);
      const givenUp = await joinerEnd(joiner, stream, exited);
      stream.control({ control: "raw_end", name, givenUp });
      return;
    }
    stream.end(channel);
  } catch {
    // The stream has ended: a closed pipe tells the program.
    await reader.cancel().catch(() => {});
  } finally {
    watch.stop();
  }
}

/** Decides when a pipe is given up after the exit of its program. */
class LingerWatch {
  readonly #giveUp: () => void;
  #isLooking = false;
  #over = false;
  #readingMs: number | null = null;
  #spentMs = 0;
  #bytes = 0;

  constructor(giveUp: () => void) {
    this.#giveUp = giveUp;
  }

  start(): void {
    if (this.#over) return;
    this.#readingMs &&= performance.now();
    this.#spentMs = 0;
    this.#bytes = 0;
    this.#isLooking = true;
    void this.#keepLooking();
  }

  stop(): void {
    this.#over = true;
  }

  reading(now: boolean): void {
    if (!now && this.#readingMs !== null) this.#spentMs += performance.now() - this.#readingMs;
    this.#readingMs = now ? performance.now() : null;
  }

  passed(bytes: number): void {
    this.#bytes += bytes;
    if (this.#isLooking) this.#look();
  }

  async #keepLooking(): Promise<void> {
    while (!this.#over) {
      await sleep(silenceMs / 5);
      if (!this.#over) this.#look();
    }
  }

  #look(): void {
    const silent = this.#readingMs === null ? 0 : performance.now() - this.#readingMs;
    if (silent > silenceMs || this.#spentMs > lingerMs || this.#bytes > lingerBytes) {
      this.stop();
      this.#giveUp();
    }
  }
}
