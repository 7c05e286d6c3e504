import { BangerError } from "../model/errors.ts";
import { TransientError } from "./transient_error.ts";
import { pause } from "../sync/pause.ts";

/** How often and how long is waited for a server that fails. */
export interface RetryPolicy {
  /** Pauses before further tries without any progress between them, in milliseconds. */
  readonly delaysMs: readonly number[];
  /** A server that asks for a longer pause is given up. */
  readonly maxRetryAfterMs: number;
  /** Most tries to go on with one blob, progress or not. */
  readonly maxResumes: number;
}

/** What holds unless told otherwise. */
export const defaultRetryPolicy: RetryPolicy = {
  delaysMs: [500, 2_000, 5_000],
  maxRetryAfterMs: 60_000,
  maxResumes: 50,
};

/** The pauses between the tries of one action; see {@linkcode RetryPolicy}. */
export class Retries {
  readonly #label: string;
  readonly #policy: RetryPolicy;
  #sinceProgress = 0;
  #all = 0;

  /** @param label the image, for the error when it is given up */
  constructor(label: string, policy: RetryPolicy) {
    this.#label = label;
    this.#policy = policy;
  }

  /** Tells that something was achieved: the short pauses start again. */
  progress(): void {
    this.#sinceProgress = 0;
  }

  /**
   * Waits before the next try, or gives up.
   *
   * @throws BangerError `unavailable` when it gives up; `error` when that is no TransientError; the
   * signal's reason
   */
  async wait(error: unknown, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!(error instanceof TransientError)) throw error;
    const ownDelayMs = this.#policy.delaysMs[this.#sinceProgress++];
    const delayMs = error.retryAfterMs ?? ownDelayMs;
    const giveUp = ownDelayMs === undefined || ++this.#all > this.#policy.maxResumes ||
      (delayMs ?? 0) > this.#policy.maxRetryAfterMs;
    if (giveUp || delayMs === undefined) {
      const later = error.retryAfterMs === undefined
        ? ""
        : `; it asks to wait ${Math.ceil(error.retryAfterMs / 1000)} s`;
      throw new BangerError(
        "unavailable",
        `Cannot pull "${this.#label}": ${error.message}${later}`,
        { hint: "Check the network and the registry, then try again", cause: error },
      );
    }
    await pause(Math.max(delayMs, 1), signal);
    signal.throwIfAborted();
  }
}
