import type { ProcessHandle } from "./host_processes.ts";

/** Longest wait between two looks at a process, in milliseconds. */
const longestWaitMs = 400;
/** The first wait for one that is about to end; each further one is twice as long. */
const firstWaitMs = 10;
/** How many that were asked to end before anybody waited for them are remembered. */
const rememberedEnds = 256;

interface Watched {
  readonly handle: ProcessHandle;
  /** Called when it has ended. */
  readonly waiters: Set<() => void>;
  waitMs: number;
  dueMs: number;
}

/**
 * Sees the ends of processes that are no children, which nobody reports: looks at all of them in turn, with one
 * timer, so that hundreds that just run cost next to nothing.
 */
export class ExitWatch {
  readonly #alive: (handle: ProcessHandle) => boolean;
  readonly #watched = new Map<string, Watched>();
  readonly #ending = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerDueMs = Infinity;

  /** `alive` tells whether that very process still runs. */
  constructor(alive: (handle: ProcessHandle) => boolean) {
    this.#alive = alive;
  }

  /**
   * Resolves when the process has ended, within half a second: whoever takes over hundreds has just seen them, and the kernel
   * takes 0.1 ms to tell of one.
   *
   * @throws the reason of `signal` when that aborts before
   */
  async until(handle: ProcessHandle, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#add(handle, resolve);
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#remove(handle, resolve);
    }
  }

  /** Somebody has asked it to end: it is looked at more often for a while. */
  expectEnd(handle: ProcessHandle): void {
    const watched = this.#watched.get(keyOf(handle));
    if (watched === undefined) {
      const [oldest] = this.#ending.add(keyOf(handle));
      if (this.#ending.size > rememberedEnds && oldest !== undefined) this.#ending.delete(oldest);
      return;
    }
    watched.waitMs = firstWaitMs;
    watched.dueMs = performance.now() + firstWaitMs;
    this.#schedule(watched.dueMs);
  }

  #add(handle: ProcessHandle, waiter: () => void): void {
    const known = this.#watched.get(keyOf(handle));
    if (known !== undefined) {
      known.waiters.add(waiter);
      // One waits for as long as it runs; who comes later has asked it to end.
      return this.expectEnd(handle);
    }
    const waitMs = this.#ending.delete(keyOf(handle)) ? firstWaitMs : longestWaitMs;
    const dueMs = performance.now() + waitMs;
    this.#watched.set(keyOf(handle), { handle, waiters: new Set([waiter]), waitMs, dueMs });
    this.#schedule(dueMs);
  }

  #remove(handle: ProcessHandle, waiter: () => void): void {
    const watched = this.#watched.get(keyOf(handle));
    watched?.waiters.delete(waiter);
    if (watched?.waiters.size === 0) this.#watched.delete(keyOf(handle));
    if (this.#watched.size > 0) return;
    clearTimeout(this.#timer);
    this.#timerDueMs = Infinity;
  }

  #schedule(dueMs: number): void {
    if (dueMs >= this.#timerDueMs) return;
    clearTimeout(this.#timer);
    this.#timerDueMs = dueMs;
    this.#timer = setTimeout(() => this.#look(), Math.max(0, dueMs - performance.now()));
  }

  #look(): void {
    this.#timerDueMs = Infinity;
    const nowMs = performance.now();
    let nextMs = Infinity;
    for (const watched of this.#watched.values()) {
      if (watched.dueMs <= nowMs && !this.#alive(watched.handle)) {
        for (const waiter of watched.waiters) waiter();
        continue;
      }
      if (watched.dueMs <= nowMs) {
        watched.waitMs = Math.min(longestWaitMs, 2 * watched.waitMs);
        watched.dueMs = nowMs + watched.waitMs;
      }
      nextMs = Math.min(nextMs, watched.dueMs);
    }
    if (nextMs < Infinity) this.#schedule(nextMs);
  }
}

function keyOf({ pid, startTicks }: ProcessHandle): string {
  return `${pid}:${startTicks}`;
}
