import type { Channel } from "../src/wire/frame.ts";
import type { MuxStream } from "../src/wire/mux_stream.ts";
import { lingerBytes, lingerMs, silenceMs } from "./linger.ts";
import type { ExecLanes } from "./exec_lanes.ts";
import type { LaneMover } from "./lane_mover.ts";
import { MoverWatch } from "./mover_watch.ts";
import { sleep } from "./sleep.ts";

/**
 * Copies what a program prints to `channel` until the pipe is closed. A child left in the
 * background may hold it for ever: some time after `exited` settles it is given up. Much output
 * moves to a lane. Never rejects.
 */
export async function forwardOutput(
  output: ReadableStream<Uint8Array>,
  stream: MuxStream,
  channel: Channel,
  exited: Promise<unknown>,
  lanes: ExecLanes,
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
      lanes.passed(name, moved);
      const mover = lanes.takeOutput(name);
      if (mover === null) continue;
      watch.stop();
      // A pipe that is closed here too tells the program when the other one is.
      await reader.cancel();
      stream.end(channel);
      await finishLane(mover, stream, name, exited);
      return;
    }
    lanes.cancel(name);
    stream.end(channel);
  } catch {
    // The stream has ended: a closed pipe tells the program.
    lanes.cancel(name);
    await reader.cancel().catch(() => {});
  } finally {
    watch.stop();
  }
}

/** Lets the lane take the rest, and tells how much that was. */
async function finishLane(
  mover: LaneMover,
  stream: MuxStream,
  channel: "stdout" | "stderr",
  exited: Promise<unknown>,
): Promise<void> {
  mover.go();
  const watch = new MoverWatch(mover);
  exited.then(() => watch.start());
  const end = await mover.ended;
  watch.stop();
  if (end !== null && (end.code === 0 || watch.hasGivenUp)) {
    stream.control({ control: "lane_end", channel, bytes: end.bytes });
  } else if (!mover.isAborted) stream.reset("a lane broke, and output was lost");
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
