import type { Stage, StageProgress, StageReporter } from "../../model/stages.ts";

interface Running {
  readonly stage: Stage;
  readonly finished: Promise<void>;
  readonly progress: Set<StageProgress>;
  /** One for each target; settles when the target has been told of the end. */
  readonly shown: Promise<void>[];
}

/** Most notices that are kept for who joins late. */
const keptNotices = 20;

/**
 * Reports work that several wait for to each of them: who joins late gets the notices so far and sees
 * the stage under way, who leaves early sees it end.
 */
export class FanOut implements StageReporter {
  readonly #targets = new Map<StageReporter, AbortSignal>();
  readonly #running = new Set<Running>();
  readonly #notices: string[] = [];

  /** Reports to `target` as well, until `signal` aborts. */
  join(target: StageReporter, signal: AbortSignal): void {
    if (signal.aborted || this.#targets.has(target)) return;
    this.#targets.set(target, signal);
    signal.addEventListener("abort", () => this.#targets.delete(target), { once: true });
    for (const text of this.#notices) target.notice(text);
    for (const running of this.#running) show(running, target, signal);
  }

  async stage<T>(stage: Stage, body: (progress: StageProgress) => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => {});
    const running: Running = { stage, finished: promise, progress: new Set(), shown: [] };
    this.#running.add(running);
    for (const [target, signal] of this.#targets) show(running, target, signal);
    try {
      const result = await body((...step) => {
        for (const report of running.progress) report(...step);
      });
      resolve();
      return result;
    } catch (error) {
      reject(error);
      throw error;
    } finally {
      this.#running.delete(running);
      // So that a target hears of one stage's end before the next one's start.
      await Promise.all(running.shown);
    }
  }

  notice(text: string): void {
    if (this.#notices.length < keptNotices) this.#notices.push(text);
    for (const target of this.#targets.keys()) target.notice(text);
  }
}

function show(running: Running, target: StageReporter, signal: AbortSignal): void {
  const shown = target.stage(running.stage, async (progress) => {
    running.progress.add(progress);
    const left = Promise.withResolvers<never>();
    const onAbort = () => left.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([running.finished, left.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
      running.progress.delete(progress);
    }
  }).catch(() => {});
  running.shown.push(shown);
}
