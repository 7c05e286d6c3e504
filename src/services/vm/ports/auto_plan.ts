import { portLimits } from "../../../model/published_port.ts";

/** A listener that has gone keeps its port of the host so long: programs are restarted. */
export const graceMs = 5_000;

/** Most ports that are opened in a second: a guest that makes listeners come and go costs no more. */
export const openedPerS = 4;

/** What is to be done now. */
export interface AutoSteps {
  readonly open: readonly number[];
  readonly close: readonly number[];
  /** When to ask again, in milliseconds; `null`: when the guest says something else. */
  readonly againMs: number | null;
}

/**
 * Which of a guest's ports are to be forwarded, from what the guest says and when. Without effects and clocks;
 * times are milliseconds since any fixed point. A port whose opening failed is left alone until its listener
 * has gone and come back.
 */
export class AutoPlan {
  readonly #isExcluded: (port: number) => boolean;
  readonly #limit: number;
  /** Ports that are open, and since when their listener has been gone. */
  readonly #open = new Map<number, number | null>();
  #failed = new Set<number>();
  #listening: readonly number[] = [];
  /** When ports were opened, within the last second. */
  #openedAt: number[] = [];

  constructor(
    isExcluded: (port: number) => boolean,
    limit: number = portLimits.auto,
  ) {
    this.#isExcluded = isExcluded;
    this.#limit = limit;
  }

  /** The guest says that somebody listens on `ports`, and on no others. */
  observe(ports: readonly number[], nowMs: number): void {
    this.#listening = ports;
    const listening = new Set(ports);
    this.#failed = this.#failed.intersection(listening);
    for (const [port, goneAtMs] of this.#open) {
      this.#open.set(port, listening.has(port) ? null : goneAtMs ?? nowMs);
    }
  }

  /** It was closed, and may be opened again. */
  forget(port: number): void {
    this.#open.delete(port);
  }

  /** What was to be opened could not be. */
  failed(port: number): void {
    this.#open.delete(port);
    this.#failed.add(port);
  }

  /** What follows; it counts as done from now on. */
  next(nowMs: number): AutoSteps {
    const close: number[] = [];
    let againAtMs = Infinity;
    for (const [port, goneAtMs] of this.#open) {
      if (this.#isExcluded(port)) close.push(port);
      else if (goneAtMs === null) continue;
      else if (goneAtMs + graceMs <= nowMs) close.push(port);
      else againAtMs = Math.min(againAtMs, goneAtMs + graceMs);
    }
    for (const port of close) this.#open.delete(port);
    const open: number[] = [];
    this.#openedAt = this.#openedAt.filter((at) => at + 1000 > nowMs);
    for (const port of this.#listening) {
      if (this.#open.size >= this.#limit) break;
      if (this.#open.has(port) || this.#failed.has(port) || this.#isExcluded(port)) continue;
      if (this.#openedAt.length >= openedPerS) {
        againAtMs = Math.min(againAtMs, this.#openedAt[0]! + 1000);
        break;
      }
      this.#openedAt.push(nowMs);
      this.#open.set(port, null);
      open.push(port);
    }
    return { open, close, againMs: againAtMs === Infinity ? null : againAtMs - nowMs };
  }
}
