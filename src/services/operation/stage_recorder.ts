import type { OperationView } from "../../api/operation.ts";
import { isBangerError } from "../../model/errors.ts";
import type { Stage, StageEvent, StageProgress, StageReporter } from "../../model/stages.ts";

/** Bounds on what one operation records; more is dropped, never an error. */
export const recorderLimits = {
  stages: 256,
  notices: 64,
  noticeChars: 1024,
  /** Shortest time between two progress events of one stage: 20 a second. */
  progressEveryMs: 50,
} as const;

type StageEntry = {
  id: string;
  title: string;
  startedAfterMs: number;
  tookMs: number | null;
  outcome: OperationView["stages"][number]["outcome"];
};

type ProgressEvent = Extract<StageEvent, { type: "stage_progress" }>;

/** Records what an operation reports and passes it on, progress at a bounded rate. */
export class StageRecorder implements StageReporter {
  readonly #stages: StageEntry[] = [];
  readonly #notices: string[] = [];
  readonly #startedAtMs: number;
  readonly #monotonicMs: () => number;
  readonly #beganMs: number;
  readonly #emit: (event: StageEvent) => void;

  /** `emit` must not throw. `monotonicMs` never goes back, unlike the wall clock. */
  constructor(
    options: {
      readonly startedAtMs: number;
      readonly monotonicMs: () => number;
      readonly emit: (event: StageEvent) => void;
    },
  ) {
    this.#startedAtMs = options.startedAtMs;
    this.#monotonicMs = options.monotonicMs;
    this.#beganMs = options.monotonicMs();
    this.#emit = options.emit;
  }

  get stages(): OperationView["stages"] {
    return this.#stages.map((stage) => ({ ...stage }));
  }

  get notices(): string[] {
    return [...this.#notices];
  }

  async stage<T>(stage: Stage, body: (progress: StageProgress) => Promise<T>): Promise<T> {
    const entry: StageEntry = {
      id: stage.id,
      title: stage.title,
      startedAfterMs: this.#sinceStart(),
      tookMs: null,
      outcome: null,
    };
    if (this.#stages.length < recorderLimits.stages) this.#stages.push(entry);
    this.#emit({
      type: "stage_started",
      stage: { id: stage.id, title: stage.title },
      atMs: this.#startedAtMs + entry.startedAfterMs,
    });
    const throttle = new ProgressThrottle(stage.id, this.#monotonicMs, this.#emit);
    try {
      const result = await body(throttle.progress);
      this.#finish(entry, throttle, "done");
      return result;
    } catch (error) {
      this.#finish(entry, throttle, isBangerError(error, "cancelled") ? "cancelled" : "failed");
      throw error;
    }
  }

  notice(text: string): void {
    if (this.#notices.length >= recorderLimits.notices) return;
    const cut = text.slice(0, recorderLimits.noticeChars);
    this.#notices.push(cut);
    this.#emit({ type: "notice", text: cut });
  }

  #finish(
    entry: StageEntry,
    throttle: ProgressThrottle,
    outcome: "done" | "failed" | "cancelled",
  ): void {
    throttle.flush();
    const after = this.#sinceStart();
    entry.tookMs = after - entry.startedAfterMs;
    entry.outcome = outcome;
    this.#emit({
      type: "stage_finished",
      stageId: entry.id,
      atMs: this.#startedAtMs + after,
      tookMs: entry.tookMs,
      outcome,
    });
  }

  #sinceStart(): number {
    return Math.round(this.#monotonicMs() - this.#beganMs);
  }
}

/** Passes on the first progress at once, then the latest every {@linkcode recorderLimits}.progressEveryMs. */
class ProgressThrottle {
  readonly progress: StageProgress;
  #latest: ProgressEvent | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;
  #lastMs = -Infinity;
  readonly #monotonicMs: () => number;
  readonly #emit: (event: StageEvent) => void;

  constructor(stageId: string, monotonicMs: () => number, emit: (event: StageEvent) => void) {
    this.#monotonicMs = monotonicMs;
    this.#emit = emit;
    this.progress = (done, total, unit, note) => {
      if (this.#ended) return;
      this.#latest = { type: "stage_progress", stageId, done, total, unit, note: note ?? null };
      const waitMs = this.#lastMs + recorderLimits.progressEveryMs - this.#monotonicMs();
      if (waitMs <= 0) this.#send();
      else this.#timer ??= setTimeout(() => this.#send(), waitMs);
    };
  }

  /** Sends what is left; later progress is ignored. */
  flush(): void {
    this.#ended = true;
    this.#send();
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#latest === undefined) return;
    this.#lastMs = this.#monotonicMs();
    this.#emit(this.#latest);
    this.#latest = undefined;
  }
}
