import * as v from "valibot";
import { fromWireError } from "../../api/codec.ts";
import { wireError } from "../../api/operation.ts";
import { BangerError } from "../../model/errors.ts";
import type { FlattenProgress } from "../flatten_layers.ts";
import { type FlattenAnswer, type FlattenJob, silenceMs } from "./flatten_job.ts";

/** How the process ended. */
export interface FlattenerEnd {
  readonly code: number;
  /** The end of its stderr. */
  readonly stderr: string;
}

/**
 * Starts the process that flattens, tells what it prints, and resolves when it has ended, whatever
 * its exit code. An abort kills it and rejects once it is gone.
 */
export type RunFlattener = (
  job: FlattenJob,
  onText: (text: string) => void,
  signal: AbortSignal,
) => Promise<FlattenerEnd>;

/** How {@linkcode flattenApart} is done. */
export interface FlattenApartOptions {
  /** What is pulled, for errors. */
  readonly label: string;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: FlattenProgress) => void;
  /** Whether it may wait for layers; while not, only progress counts as a word. */
  readonly mayWait?: () => boolean;
  /** Longest time without a word; two minutes when left out. */
  readonly silenceMs?: number;
}

/** The image that was written. */
export type FlattenedFile = Omit<Extract<FlattenAnswer, { type: "done" }>, "type">;

const maxLineChars = 256 * 1024;
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const answer = v.variant("type", [
  v.strictObject({ type: v.literal("progress"), layer: count, storedBytes: count }),
  v.strictObject({ type: v.literal("alive") }),
  v.strictObject({ type: v.literal("done"), usedBytes: count, inodes: count }),
  v.strictObject({ type: v.literal("failed"), error: wireError }),
]);
const aborted = 134;
const trapped = 133;
const killed = 137;

/**
 * Flattens in a process of its own: this thread goes on, and whatever becomes of that process is the
 * end of this one image only. The process read data of strangers, so what it says is checked.
 *
 * @throws BangerError as `flattenLayers`; `exhausted` (IMAGE_LIMIT) when the process ran out of memory, `timeout`
 * when it says nothing, `internal` when it ends otherwise
 */
export async function flattenApart(
  run: RunFlattener,
  job: FlattenJob,
  options: FlattenApartOptions,
): Promise<FlattenedFile> {
  const { label, signal, onProgress } = options;
  const stop = new AbortController();
  const limitMs = options.silenceMs ?? silenceMs;
  const silent = () =>
    stop.abort(
      new BangerError("timeout", `Cannot unpack image "${label}": its unpacking has stopped`),
    );
  let timer = setTimeout(silent, limitMs);
  const verdict: { last?: FlattenAnswer } = {};
  const lines = new AnswerLines((line) => {
    if (line.type !== "alive" || options.mayWait?.() !== false) {
      clearTimeout(timer);
      timer = setTimeout(silent, limitMs);
    }
    if (line.type === "progress") onProgress?.(line);
    else if (line.type !== "alive") verdict.last = line;
  }, () => stop.abort(nonsense(label)));
  try {
    const end = await run(job, (text) => lines.push(text), AbortSignal.any([signal, stop.signal]));
    if (stop.signal.aborted) throw stop.signal.reason;
    if (verdict.last?.type === "failed") throw fromWireError(verdict.last.error);
    if (verdict.last?.type !== "done" || end.code !== 0) throw brokenOff(label, end);
    const { usedBytes, inodes } = verdict.last;
    return { usedBytes, inodes };
  } catch (error) {
    signal.throwIfAborted();
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

/** Cuts what the process prints into answers. */
class AnswerLines {
  readonly #onAnswer: (answer: FlattenAnswer) => void;
  readonly #onNonsense: () => void;
  #rest = "";
  #isBroken = false;

  constructor(onAnswer: (answer: FlattenAnswer) => void, onNonsense: () => void) {
    this.#onAnswer = onAnswer;
    this.#onNonsense = onNonsense;
  }

  push(text: string): void {
    if (this.#isBroken) return;
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const found = parse(line);
      if (found === undefined) return this.#break();
      this.#onAnswer(found);
    }
    if (this.#rest.length > maxLineChars) this.#break();
  }

  #break(): void {
    this.#isBroken = true;
    this.#onNonsense();
  }
}

function parse(line: string): FlattenAnswer | undefined {
  try {
    const found = v.safeParse(answer, JSON.parse(line));
    return found.success ? found.output : undefined;
  } catch {
    return undefined;
  }
}

function nonsense(label: string): BangerError {
  return new BangerError(
    "internal",
    `Cannot unpack image "${label}": what its unpacking says makes no sense`,
  );
}

function brokenOff(label: string, { code, stderr }: FlattenerEnd): BangerError {
  const detail = stderr.trim() === "" ? {} : { detail: stderr.trim() };
  // V8 traps or aborts when its heap is full; the kernel kills when the host's memory is.
  if (
    code === killed || ((code === aborted || code === trapped) && /out of memory/i.test(stderr))
  ) {
    return new BangerError(
      "exhausted",
      `Cannot unpack image "${label}": it takes too much memory`,
      {
        code: "IMAGE_LIMIT",
        hint: "No other image or VM is affected; an image with fewer files may do",
        ...detail,
      },
    );
  }
  return new BangerError(
    "internal",
    `Cannot unpack image "${label}": its unpacking ended with exit code ${code}`,
    { hint: "This is a defect of banger; no other image or VM is affected", ...detail },
  );
}
