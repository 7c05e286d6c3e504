import { type EffectKind, type Fault, faultKinds, faults } from "../plan.ts";

/** Cells of the memory that both threads of the daemon share. */
const cells = { count: 0, at: 1, fault: 2, fired: 3, answer: 4, hours: 5 } as const;
const cellCount = 6;
/** Bound on what the other thread is waited for. */
const answerMs = 5_000;

/** What only the main thread can do. */
export interface MainThread {
  fired(at: number, effect: string): void;
  seen(at: number, effect: string): void;
  /** Kills this process; does not return. */
  die(): void;
  /** Kills VMMs, and returns when they are gone. */
  killVmms(): void;
}

/** What a Worker tells the main thread. */
export type FromInjector =
  | { readonly injector: "fired" | "seen"; readonly at: number; readonly effect: string }
  | { readonly injector: "die" }
  | { readonly injector: "kill_vmms" };

/** Counts the effects of both threads in one sequence, and has the planned one go wrong. */
export class Injector {
  readonly memory: SharedArrayBuffer;
  readonly #cells: Int32Array<SharedArrayBuffer>;
  readonly #main: MainThread;

  constructor(main: MainThread, memory = new SharedArrayBuffer(4 * cellCount)) {
    this.memory = memory;
    this.#cells = new Int32Array(memory);
    this.#main = main;
  }

  /** From now on the wall clock of both threads is wrong by so many hours. */
  setClock(hours: number): void {
    Atomics.store(this.#cells, cells.hours, hours);
  }

  /** How wrong the wall clock is, in milliseconds. */
  get clockMs(): number {
    return Atomics.load(this.#cells, cells.hours) * 3_600_000;
  }

  /** From the next effect on, the one with number `at` goes wrong. */
  arm(fault: Fault, at: number): void {
    Atomics.store(this.#cells, cells.count, 0);
    Atomics.store(this.#cells, cells.fired, 0);
    Atomics.store(this.#cells, cells.at, at);
    Atomics.store(this.#cells, cells.fault, 1 + faults.indexOf(fault));
  }

  /** Nothing goes wrong any more. Answers how many effects were counted. */
  disarm(): number {
    Atomics.store(this.#cells, cells.fault, 0);
    return Atomics.load(this.#cells, cells.count);
  }

  /** The main thread has done what a Worker waits for. */
  answer(): void {
    Atomics.store(this.#cells, cells.answer, 1);
    Atomics.notify(this.#cells, cells.answer);
  }

  /**
   * Called before an effect. Answers what to do when it has happened: nothing, or die.
   *
   * @throws what the effect fails with
   */
  before(kind: EffectKind, effect: string): () => void {
    const code = Atomics.load(this.#cells, cells.fault);
    const fault = faults[code - 1];
    if (fault === undefined || !faultKinds[fault].includes(kind)) return nothing;
    const number = 1 + Atomics.add(this.#cells, cells.count, 1);
    const at = Atomics.load(this.#cells, cells.at);
    if (at === 0) this.#main.seen(number, effect);
    if (number !== at) return nothing;
    Atomics.store(this.#cells, cells.fired, 1);
    this.#main.fired(number, effect);
    switch (fault) {
      case "kill_before":
        this.#die();
        return nothing;
      case "kill_after":
        return () => this.#die();
      case "vmm":
        Atomics.store(this.#cells, cells.answer, 0);
        this.#main.killVmms();
        Atomics.wait(this.#cells, cells.answer, 0, answerMs);
        return nothing;
      case "twice":
        return nothing;
      case "enospc":
      case "eio":
        throw failureOf(fault, kind);
    }
  }

  /** Nothing of this thread happens from here on. */
  #die(): void {
    this.#main.die();
    Atomics.wait(this.#cells, cells.at, Atomics.load(this.#cells, cells.at));
  }
}

function nothing(): void {}

/** As Deno and SQLite say it. */
function failureOf(fault: "enospc" | "eio", kind: EffectKind): Error {
  if (kind === "commit") {
    return new Error(fault === "enospc" ? "database or disk is full" : "disk I/O error");
  }
  if (kind === "rpc") return new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
  if (kind === "listen") {
    return Object.assign(new Error("listen EMFILE: too many open files"), { code: "EMFILE" });
  }
  return fault === "enospc"
    ? Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" })
    : Object.assign(new Error("Input/output error (os error 5)"), { code: "EIO" });
}
