import type { Stage, StageEvent, StageProgress } from "../../model/stages.ts";
import type { Output } from "../context.ts";
import { bytesText, durationText } from "./amounts.ts";
import { colours } from "./colours.ts";
import { printableLine } from "./printable.ts";

/** How long a stage took, for `--timings`. */
export interface StageRecord {
  readonly title: string;
  readonly tookMs: number;
  readonly outcome: "done" | "skipped" | "failed" | "cancelled";
}

interface Running {
  readonly stage: Stage;
  readonly sinceMs: number;
  done: number;
  total: number | null;
  unit: "bytes" | "files" | "items";
  note: string | null;
  /** When the next line about it is due, off a terminal. */
  nextLineMs: number;
}

/** How a {@linkcode StageView} shows. */
export interface StageViewOptions {
  readonly err: Output;
  readonly nowMs: () => number;
  /** Nothing is shown, only recorded. */
  readonly silent: boolean;
}

const frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
const redrawMs = 100;
/** Off a terminal, a stage that runs so long gets a line, then one each `plainRepeatMs`. */
const plainFirstMs = 10_000;
const plainRepeatMs = 30_000;
const mostLiveLines = 8;

/**
 * Shows what is being done, on stderr: redrawn lines with elapsed time and bytes on a terminal, one
 * plain line for each finished stage elsewhere. Remembers how long each stage took.
 */
export class StageView {
  readonly #err: Output;
  readonly #nowMs: () => number;
  readonly #silent: boolean;
  readonly #live: boolean;
  readonly #running = new Map<string, Running>();
  readonly #records: StageRecord[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;
  #drawnLines = 0;
  #frame = 0;
  #nextId = 0;

  constructor(options: StageViewOptions) {
    this.#err = options.err;
    this.#nowMs = options.nowMs;
    this.#silent = options.silent;
    this.#live = options.err.isTerminal && !options.silent;
  }

  /** The stages that have finished so far, in the order of their ends. */
  get records(): readonly StageRecord[] {
    return this.#records;
  }

  /** Takes an event of an operation. */
  event(event: StageEvent): void {
    switch (event.type) {
      case "stage_started":
        this.#start(event.stage.id, event.stage);
        return;
      case "stage_progress": {
        const running = this.#running.get(event.stageId);
        if (running === undefined) return;
        running.done = event.done;
        running.total = event.total;
        running.unit = event.unit;
        running.note = event.note;
        return;
      }
      case "stage_finished":
        this.#finish(event.stageId, event.tookMs, event.outcome);
        return;
      case "notice":
        this.notice(event.text);
        return;
    }
  }

  /** Runs `body` as a stage of the CLI's own. */
  async stage<T>(title: string, body: (progress: StageProgress) => Promise<T>): Promise<T> {
    const id = `cli.${this.#nextId++}`;
    const sinceMs = this.#nowMs();
    this.#start(id, { id, title });
    let outcome: StageRecord["outcome"] = "failed";
    try {
      const result = await body((done, total, unit, note) =>
        this.event({ type: "stage_progress", stageId: id, done, total, unit, note: note ?? null })
      );
      outcome = "done";
      return result;
    } finally {
      this.#finish(id, this.#nowMs() - sinceMs, outcome);
    }
  }

  /** Adds a record that was measured elsewhere, without showing it. */
  record(record: StageRecord): void {
    this.#records.push(record);
  }

  /** A line that stays. */
  notice(text: string): void {
    const { yellow } = colours(this.#err.colour);
    this.#print(`${yellow("note:")} ${printableLine(text, this.#err.isTerminal)}\n`);
  }

  /** Stops drawing; what is running is forgotten. The view may be used again. */
  close(): void {
    this.#running.clear();
    this.#erase();
    this.#stopTimer();
  }

  #start(id: string, stage: Stage): void {
    const sinceMs = this.#nowMs();
    this.#running.set(id, {
      stage,
      sinceMs,
      done: 0,
      total: null,
      unit: "items",
      note: null,
      nextLineMs: sinceMs + plainFirstMs,
    });
    if (this.#silent) return;
    this.#timer ??= setInterval(() => this.#tick(), this.#live ? redrawMs : 1000);
    if (this.#live) this.#redraw();
  }

  #finish(id: string, tookMs: number, outcome: StageRecord["outcome"]): void {
    const running = this.#running.get(id);
    if (running === undefined) return;
    this.#running.delete(id);
    this.#records.push({ title: running.stage.title, tookMs, outcome });
    if (this.#running.size === 0) this.#stopTimer();
    if (outcome === "skipped") this.#print("");
    else this.#print(this.#finishedLine(running, tookMs, outcome));
  }

  #finishedLine(running: Running, tookMs: number, outcome: StageRecord["outcome"]): string {
    const title = printableLine(running.stage.title, this.#err.isTerminal);
    const time = durationText(tookMs);
    if (!this.#live) return `==> ${title} … ${outcome} (${time})\n`;
    const { green, red, dim } = colours(this.#err.colour);
    const mark = outcome === "done" ? green("✓") : red("✗");
    return `${mark} ${title} ${dim(outcome === "done" ? time : `${outcome}, ${time}`)}\n`;
  }

  #tick(): void {
    if (this.#live) {
      this.#frame += 1;
      this.#redraw();
      return;
    }
    const nowMs = this.#nowMs();
    for (const running of this.#running.values()) {
      if (nowMs < running.nextLineMs) continue;
      running.nextLineMs = nowMs + plainRepeatMs;
      const progress = [durationText(nowMs - running.sinceMs), amount(running), running.note];
      const title = printableLine(running.stage.title, false);
      this.#print(`==> ${title} … (${progress.filter(Boolean).join(", ")})\n`);
    }
  }

  #print(text: string): void {
    if (this.#silent) return;
    this.#erase();
    if (text !== "") this.#err.write(text);
    if (this.#live) this.#redraw();
  }

  #redraw(): void {
    const lines = [...this.#running.values()].slice(-mostLiveLines).map((it) => this.#liveLine(it));
    const erase = this.#eraseText();
    if (lines.length === 0 && erase === "") return;
    this.#err.write(erase + lines.map((line) => `${line}\n`).join(""));
    this.#drawnLines = lines.length;
  }

  #liveLine(running: Running): string {
    const { cyan } = colours(this.#err.colour);
    const mark = frames[this.#frame % frames.length]!;
    const time = durationText(this.#nowMs() - running.sinceMs);
    const parts = [running.stage.title, time, amount(running), running.note].filter(Boolean);
    const text = printableLine(parts.join("  "), true);
    return `${cyan(mark)} ${[...text].slice(0, this.#err.columns - 3).join("")}`;
  }

  #eraseText(): string {
    const text = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A\r\x1b[J` : "";
    this.#drawnLines = 0;
    return text;
  }

  #erase(): void {
    const text = this.#eraseText();
    if (text !== "") this.#err.write(text);
  }

  #stopTimer(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

function amount(running: Running): string {
  const { done, total, unit } = running;
  if (done === 0 && total === null) return "";
  const show = (count: number) => unit === "bytes" ? bytesText(count) : String(count);
  const counted = total === null ? show(done) : `${show(done)} / ${show(total)}`;
  const text = unit === "bytes" ? counted : `${counted} ${unit}`;
  return total !== null && total > 0 ? `${text} (${Math.floor((100 * done) / total)} %)` : text;
}
