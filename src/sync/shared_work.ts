import { BangerError } from "../model/errors.ts";

interface Flight<T> {
  readonly result: Promise<T>;
  readonly stop: AbortController;
  waiters: number;
}

/** Work that several callers want at once is done once (two pulls of an image share one build). */
export class SharedWork<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /** Whether work with `key` is under way. */
  has(key: string): boolean {
    return this.#flights.has(key);
  }

  /**
   * Joins the work under `key`, or starts it with `work`. A caller whose `signal` aborts leaves at
   * once; the others go on, and only when the last one has left is the work's own signal aborted.
   * Work that was left by all is waited for by whoever asks next, before it is started anew.
   *
   * @throws what `work` throws; BangerError `cancelled` (or the reason of `signal`) when left
   */
  async share(
    key: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    let flight = this.#flights.get(key);
    while (flight?.stop.signal.aborted) {
      await waitOrLeave(flight.result.then(() => {}, () => {}), signal);
      flight = this.#flights.get(key);
    }
    flight ??= this.#begin(key, work);
    flight.waiters++;
    try {
      return await waitOrLeave(flight.result, signal);
    } finally {
      if (--flight.waiters === 0 && this.#flights.get(key) === flight) {
        flight.stop.abort(new BangerError("cancelled", `Stopped "${key}": nobody waits for it`));
      }
    }
  }

  #begin(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const stop = new AbortController();
    const result = (async () => {
      try {
        return await work(stop.signal);
      } finally {
        this.#flights.delete(key);
      }
    })();
    result.catch(() => {});
    const flight = { result, stop, waiters: 0 };
    this.#flights.set(key, flight);
    return flight;
  }
}

function waitOrLeave<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    result.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
