/** How long after the answer a start may take until its VM has a row, in milliseconds. */
const graceMs = 2_000;

interface Held {
  count: number;
  untilMs: number;
}

/**
 * Images and kernels that starts under way are being given: no VM has them yet, but one is about to.
 * Only `prune` looks at it.
 */
export class HandedOut {
  readonly #held = new Map<string, Held>();
  readonly #now: () => number;

  /** @param now milliseconds since the epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Holds these until the answer is disposed of, and a moment longer. */
  hold(noun: "image" | "kernel", name: string): Disposable {
    this.#forget();
    const key = `${noun} ${name}`;
    const held = this.#held.get(key) ?? { count: 0, untilMs: 0 };
    this.#held.set(key, held);
    held.count++;
    return {
      [Symbol.dispose]: () => {
        held.count--;
        held.untilMs = this.#now() + graceMs;
      },
    };
  }

  has(noun: "image" | "kernel", name: string): boolean {
    this.#forget();
    return this.#held.has(`${noun} ${name}`);
  }

  #forget(): void {
    for (const [key, { count, untilMs }] of this.#held) {
      if (count === 0 && untilMs <= this.#now()) this.#held.delete(key);
    }
  }
}
