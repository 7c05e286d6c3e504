import type { OperationView } from "../../api/operation.ts";
import type { StageEvent } from "../../model/stages.ts";

/** The events that lead to `view`, in order, without progress: what a late watcher has missed. */
export function replayOf(view: OperationView): StageEvent[] {
  const timed: { readonly atMs: number; readonly event: StageEvent }[] = [];
  for (const stage of view.stages) {
    const startedMs = view.startedAtMs + stage.startedAfterMs;
    const { id, title } = stage;
    timed.push({
      atMs: startedMs,
      event: { type: "stage_started", stage: { id, title }, atMs: startedMs },
    });
    if (stage.tookMs === null || stage.outcome === null) continue;
    const atMs = startedMs + stage.tookMs;
    const { tookMs, outcome } = stage;
    timed.push({ atMs, event: { type: "stage_finished", stageId: id, atMs, tookMs, outcome } });
  }
  const notices = view.notices.map((text): StageEvent => ({ type: "notice", text }));
  // The sort is stable: a stage that took 0 ms still starts before it ends.
  return [...notices, ...timed.sort((a, b) => a.atMs - b.atMs).map(({ event }) => event)];
}
