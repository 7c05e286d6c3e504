/** Fewer bytes than this within the time do not count: a trickle must not hold a download. */
const bytesThatCount = 16 * 1024;

/** Ends what it watches when nothing came for too long, or when the caller gives up. */
export class Watchdog implements Disposable {
  readonly #stall = new AbortController();
  readonly #silenceMs: number;
  readonly #signal: AbortSignal;
  #timer: ReturnType<typeof setTimeout>;
  #armedAtMs = 0;
  #leftMs: number;
  #bytes = 0;

  constructor(silenceMs: number, signal: AbortSignal) {
    this.#silenceMs = silenceMs;
    this.#leftMs = silenceMs;
    this.#signal = AbortSignal.any([this.#stall.signal, signal]);
    this.#timer = this.#arm();
  }

  /** For what is watched. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  /** Whether it was the silence that ended it. */
  get barked(): boolean {
    return this.#stall.signal.aborted;
  }

  /** Tells that `bytes` came; `Infinity` for what counts by itself. */
  saw(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < bytesThatCount) return;
    this.#bytes = 0;
    clearTimeout(this.#timer);
    this.#leftMs = this.#silenceMs;
    this.#timer = this.#arm();
  }

  /** The time until {@linkcode resume} does not count. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#leftMs = Math.max(1, this.#leftMs - (performance.now() - this.#armedAtMs));
  }

  /** See {@linkcode pause}. */
  resume(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#arm();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #arm(): ReturnType<typeof setTimeout> {
    this.#armedAtMs = performance.now();
    return setTimeout(() => this.#stall.abort(), this.#leftMs);
  }
}
