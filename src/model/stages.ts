/** One step of a long action, as it is shown to the user and recorded with `--timings`. */
export interface Stage {
  /** Stable id, such as `kernel.pull` or `vm.boot`. */
  readonly id: string;
  /** What is being done, such as `Booting the VM`. */
  readonly title: string;
}

/** What an operation reports while it runs. */
export type StageEvent =
  | { readonly type: "stage_started"; readonly stage: Stage; readonly atMs: number }
  | {
    readonly type: "stage_progress";
    readonly stageId: string;
    /** Units done so far and in all; `total` is `null` while it is not known. */
    readonly done: number;
    readonly total: number | null;
    readonly unit: "bytes" | "files" | "items";
    /** One line of detail, such as the package being unpacked. */
    readonly note: string | null;
  }
  | {
    readonly type: "stage_finished";
    readonly stageId: string;
    readonly atMs: number;
    readonly tookMs: number;
    readonly outcome: "done" | "skipped" | "failed" | "cancelled";
  }
  | { readonly type: "notice"; readonly text: string };

/** Where a running action reports; implementations never throw and never block. */
export interface StageReporter {
  /** Runs `body` as `stage`: reports start, end and duration, also when it fails. */
  stage<T>(stage: Stage, body: (progress: StageProgress) => Promise<T>): Promise<T>;
  /** One line that the user should see, such as that KVM cannot be used. */
  notice(text: string): void;
}

/** Progress within one stage. */
export type StageProgress = (
  done: number,
  total: number | null,
  unit: "bytes" | "files" | "items",
  note?: string,
) => void;

/** Reports to nobody: for work that no client waits for. */
export const silentReporter: StageReporter = {
  stage: (_stage, body) => body(() => {}),
  notice: () => {},
};
