/** A mutual exclusion lock: first come, first served; a wait can be aborted. */
export class Mutex {
  #locked = false;
  readonly #waiters: (() => void)[] = [];

  /** Nobody holds it and nobody waits. */
  get idle(): boolean {
    return !this.#locked && this.#waiters.length === 0;
  }

  /** Resolves when the caller holds it. @throws the reason of `signal` when it aborts first */
  async acquire(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#locked) {
      this.#locked = true;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        this.#waiters.splice(this.#waiters.indexOf(turn), 1);
        reject(signal?.reason);
      };
      const turn = () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiters.push(turn);
    });
  }

  /** Hands it to the one that waits longest. Only the holder calls this. */
  release(): void {
    const next = this.#waiters.shift();
    if (next === undefined) this.#locked = false;
    else next();
  }
}
