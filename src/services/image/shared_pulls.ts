import type { StageReporter } from "../../model/stages.ts";
import { SharedWork } from "../../sync/shared_work.ts";
import { FanOut } from "./fan_out.ts";

interface Pull {
  readonly stop: AbortSignal;
  /** Resolves when it has ended, and cleaned up, either way. */
  readonly ended: Promise<void>;
}

/** Pulls of one sort: whoever wants the same at once shares one, and each sees its stages. */
export class SharedPulls<T> {
  readonly #work = new SharedWork<T>();
  readonly #reporters = new Map<string, FanOut>();
  readonly #pulls = new Map<string, Pull>();

  /**
   * Joins the pull of `key` under way, or starts it with `pull`. Leaving by `signal` stops it only
   * when nobody else waits; the last one to leave gets its answer when the pull has cleaned up.
   */
  async share(
    key: string,
    reporter: StageReporter,
    signal: AbortSignal,
    pull: (reporter: StageReporter, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    // What is shared with this waiter ends with its answer, even when the signal lives on.
    const left = new AbortController();
    const watched = AbortSignal.any([signal, left.signal]);
    const fanOut = this.#reporters.get(key) ?? new FanOut();
    this.#reporters.set(key, fanOut);
    fanOut.join(reporter, watched);
    try {
      return await this.#work.share(key, signal, (stop) => {
        // A pull that all had left may have ended in between and taken its reporter along.
        this.#reporters.set(key, fanOut);
        const pulled = pull(fanOut, stop);
        this.#pulls.set(key, { stop, ended: pulled.then(() => {}, () => {}) });
        return pulled;
      });
    } finally {
      left.abort();
      const last = this.#pulls.get(key);
      if (last?.stop.aborted) await last.ended;
      if (!this.#work.has(key)) {
        this.#reporters.delete(key);
        this.#pulls.delete(key);
      }
    }
  }
}
