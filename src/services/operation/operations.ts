/**
 * Long work behind an id: begin answers at once, watchers see stages and progress, cancel unwinds.
 *
 * Owns: the running operations and their record in the store. Knows nothing of what they do. Must
 * not import other services.
 */
import { fromWireError, toWireError } from "../../api/codec.ts";
import type { OperationView } from "../../api/operation.ts";
import type { OperationState } from "../../model/artefacts.ts";
import { BangerError, isBangerError } from "../../model/errors.ts";
import { newId, type OperationId } from "../../model/ids.ts";
import type { StageEvent, StageReporter } from "../../model/stages.ts";
import { replayOf } from "./replay.ts";
import { StageRecorder } from "./stage_recorder.ts";

/** How many final operations are remembered, and for how long. */
export const retention = { count: 200, ms: 24 * 60 * 60 * 1000 } as const;

/** Most operations that run at once. */
export const maxRunning = 64;

/** Where operations are kept; `store/operations.ts` is one. */
export interface OperationArchive {
  save(operation: OperationView): void;
  find(id: string): OperationView | undefined;
  list(limit: number): OperationView[];
  prune(beforeMs: number, keep: number): number;
}

/** What {@linkcode Operations} needs. */
export interface OperationsDeps {
  readonly archive: OperationArchive;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
  /** Milliseconds since any fixed point, never going back. */
  readonly monotonicMs: () => number;
  /** Told when a record could not be saved; the operation itself goes on. */
  readonly onArchiveFailure: (error: unknown) => void;
}

/** What is begun. */
export interface OperationStart {
  /** API method that begins it, such as `vm.create`. */
  readonly method: string;
  /** What it works on, such as a VM's name. */
  readonly subject: string;
}

/** The work itself. Its result must be plain JSON. It unwinds what it did when `signal` aborts. */
export type OperationBody = (reporter: StageReporter, signal: AbortSignal) => Promise<unknown>;

interface Running {
  readonly id: OperationId;
  readonly start: OperationStart;
  readonly startedAtMs: number;
  readonly stop: AbortController;
  readonly recorder: StageRecorder;
  readonly watchers: Set<(event: StageEvent) => void>;
  readonly final: Promise<OperationView>;
}

/** The operations of this daemon. */
export class Operations {
  readonly #deps: OperationsDeps;
  readonly #running = new Map<string, Running>();
  /** Final ones whose record could not be saved yet: in the archive they still run. */
  readonly #unsaved = new Map<string, OperationView>();

  constructor(deps: OperationsDeps) {
    this.#deps = deps;
  }

  /** How many run now. */
  get runningCount(): number {
    return this.#running.size;
  }

  /**
   * Starts `body` and answers the operation's id. Its record is durable before `body` runs.
   *
   * @throws BangerError `exhausted` when too many run, or when the store cannot be written
   */
  begin(start: OperationStart, body: OperationBody): OperationId {
    if (this.#running.size >= maxRunning) {
      throw new BangerError(
        "exhausted",
        `Cannot begin "${start.method}": ${maxRunning} operations run already`,
        { hint: "Wait until some have ended" },
      );
    }
    const id = newId<OperationId>();
    const watchers = new Set<(event: StageEvent) => void>();
    const startedAtMs = this.#deps.nowMs();
    const recorder = new StageRecorder({
      startedAtMs,
      monotonicMs: this.#deps.monotonicMs,
      emit: (event) => watchers.forEach((watcher) => watcher(event)),
    });
    const stop = new AbortController();
    const { promise: final, resolve } = Promise.withResolvers<OperationView>();
    const running = { id, start, startedAtMs, stop, recorder, watchers, final };
    this.#deps.archive.save(this.#viewOf(running));
    this.#running.set(id, running);
    this.#run(running, body).then(resolve);
    return id;
  }

  /** @throws BangerError `not_found` */
  view(id: string): OperationView {
    const running = this.#running.get(id);
    if (running !== undefined) return this.#viewOf(running);
    const kept = this.#unsaved.get(id) ?? this.#deps.archive.find(id);
    if (kept !== undefined) return kept;
    throw new BangerError("not_found", `Cannot find operation "${id}": there is none`, {
      hint: "Finished operations are forgotten after a day",
    });
  }

  /** Newest first, the running ones with what they have reported so far. */
  list(): OperationView[] {
    return this.#deps.archive.list(retention.count).map((kept) => {
      const running = this.#running.get(kept.id);
      return running === undefined ? this.#unsaved.get(kept.id) ?? kept : this.#viewOf(running);
    });
  }

  /**
   * Passes on what the operation has reported, then what it reports, and resolves when it is final.
   * When `signal` aborts the watcher leaves; the operation goes on.
   *
   * @throws BangerError `not_found`, `cancelled` when `signal` aborts
   */
  async watch(
    id: string,
    onEvent: (event: StageEvent) => void,
    signal: AbortSignal,
  ): Promise<OperationView> {
    signal.throwIfAborted();
    for (const event of replayOf(this.view(id))) onEvent(event);
    const running = this.#running.get(id);
    if (running === undefined) return this.view(id);
    const watcher = (event: StageEvent) => onEvent(event);
    running.watchers.add(watcher);
    const left = Promise.withResolvers<never>();
    const onAbort = () => left.reject(new BangerError("cancelled", `Stopped watching "${id}"`));
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([running.final, left.promise]);
    } finally {
      running.watchers.delete(watcher);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /**
   * The result of an operation that succeeded, once it is final.
   *
   * @throws BangerError what the operation failed with
   */
  async resultOf(id: string, signal: AbortSignal): Promise<unknown> {
    const view = await this.watch(id, () => {}, signal);
    if (view.error !== null) throw fromWireError(view.error);
    return view.result;
  }

  /** Asks it to stop and unwind. Nothing happens when it is final. @throws BangerError `not_found` */
  cancel(id: string, why = "cancelled"): void {
    const running = this.#running.get(id);
    if (running === undefined) {
      this.view(id);
      return;
    }
    const { method, subject } = running.start;
    running.stop.abort(new BangerError("cancelled", `Stopped ${method} "${subject}": ${why}`));
  }

  /** Cancels all and waits until they have unwound, at most `timeoutMs`; answers whether all have. */
  async drain(timeoutMs: number): Promise<boolean> {
    const all = [...this.#running.values()];
    for (const running of all) this.cancel(running.id, "the daemon ends");
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    try {
      const done = Promise.all(all.map((running) => running.final)).then(() => true as const);
      return await Promise.race([done, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Forgets old final operations; called now and then. */
  prune(): number {
    return this.#deps.archive.prune(this.#deps.nowMs() - retention.ms, retention.count);
  }

  async #run(running: Running, body: OperationBody): Promise<OperationView> {
    let outcome: { state: OperationState; result: unknown; error: OperationView["error"] };
    try {
      // The id is answered before the work begins.
      await Promise.resolve();
      running.stop.signal.throwIfAborted();
      const result = await body(running.recorder, running.stop.signal) ?? null;
      outcome = { state: "succeeded", result, error: null };
    } catch (error) {
      const cancelled = running.stop.signal.aborted || isBangerError(error, "cancelled");
      outcome = {
        state: cancelled ? "cancelled" : "failed",
        result: null,
        error: toWireError(error),
      };
    }
    const finishedAtMs = this.#deps.nowMs();
    const view: OperationView = { ...this.#viewOf(running), ...outcome, finishedAtMs };
    this.#unsaved.set(view.id, view);
    this.#running.delete(running.id);
    try {
      this.#saveFinal();
      this.prune();
    } catch (error) {
      this.#deps.onArchiveFailure(error);
    }
    return view;
  }

  /** Saves this one, and those that could not be saved before. @throws what the archive throws */
  #saveFinal(): void {
    for (const [id, view] of this.#unsaved) {
      if (this.#unsaved.size > retention.count) this.#unsaved.delete(id);
      this.#deps.archive.save(view);
      this.#unsaved.delete(id);
    }
  }

  #viewOf(running: Running): OperationView {
    return {
      id: running.id,
      method: running.start.method,
      subject: running.start.subject,
      state: "running",
      startedAtMs: running.startedAtMs,
      finishedAtMs: null,
      stages: running.recorder.stages,
      notices: running.recorder.notices,
      result: null,
      error: null,
    };
  }
}
