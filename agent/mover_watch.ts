import { readText } from "./files.ts";
import type { LaneMover } from "./lane_mover.ts";
import { lingerBytes, lingerMs, silenceMs } from "./linger.ts";
import { sleep } from "./sleep.ts";

/** A look every so often. */
const lookMs = 100;

/**
 * Decides when a lane's output is given up after the exit of its program, by the same limits as on the
 * agent link: a child in the background may hold the pipe for ever.
 */
export class MoverWatch {
  readonly #mover: LaneMover;
  #isStopped = false;
  #hasGivenUp = false;
  #firstBytes = 0;
  #bytes = 0;
  #lastLookMs = 0;
  #silentMs = 0;
  #spentMs = 0;

  constructor(mover: LaneMover) {
    this.#mover = mover;
  }

  /** Whether the mover was ended before the output came to its end. */
  get hasGivenUp(): boolean {
    return this.#hasGivenUp;
  }

  /** The program has exited. */
  start(): void {
    if (this.#isStopped) return;
    this.#firstBytes = this.#bytes = this.#bytesRead();
    this.#lastLookMs = performance.now();
    void this.#keepLooking();
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #keepLooking(): Promise<void> {
    while (!this.#isStopped) {
      await sleep(lookMs);
      if (!this.#isStopped) this.#look();
    }
  }

  #look(): void {
    const bytes = this.#bytesRead();
    const fd = this.#blockedFd();
    const now = performance.now();
    const passedMs = now - this.#lastLookMs;
    this.#silentMs = fd === 0 && bytes === this.#bytes ? this.#silentMs + passedMs : 0;
    // What it waits for the host does not count.
    if (fd !== 1) this.#spentMs += passedMs;
    this.#bytes = bytes;
    this.#lastLookMs = now;
    const isTooLong = this.#silentMs > silenceMs || this.#spentMs > lingerMs ||
      bytes - this.#firstBytes > lingerBytes;
    if (!isTooLong) return;
    this.stop();
    this.#hasGivenUp = true;
    this.#mover.stop();
  }

  #bytesRead(): number {
    return Number(/^rchar: (\d+)/m.exec(this.#proc("io"))?.[1] ?? 0);
  }

  /** The descriptor at which it waits: the first argument of the system call (proc(5), syscall). */
  #blockedFd(): number | undefined {
    const argument = /^\d+ (0x[0-9a-f]+) /.exec(this.#proc("syscall"))?.[1];
    return argument === undefined ? undefined : Number(argument);
  }

  #proc(name: string): string {
    const { pid } = this.#mover;
    return pid === undefined ? "" : readText(`/proc/${pid}/${name}`) ?? "";
  }
}
