import { HostTools } from "../../../src/privileged/network/host_tools.ts";

/** Where a fault is. */
export interface Fault {
  /** Which call of a program, from 1. */
  readonly step: number;
  /** Whether the program has run then. */
  readonly when: "before" | "after";
  /** Whether the calls behind it work; if not, it is as if the process had ended there. */
  readonly once: boolean;
}

/** The host's programs, of which one call fails. */
export class FaultyTools extends HostTools {
  hasFailed = false;
  /** Calls count from when this is set. */
  isArmed = true;
  readonly #fault: Fault;
  #calls = 0;

  constructor(via: readonly string[], fault: Fault) {
    super(via);
    this.#fault = fault;
  }

  override async changeLinks(statements: readonly string[]): Promise<void> {
    // Each statement is an effect of its own.
    for (const statement of statements) await this.#call(() => super.changeLinks([statement]));
  }

  override async links(): Promise<unknown> {
    return await this.#call(() => super.links());
  }

  override async routes(): Promise<unknown> {
    return await this.#call(() => super.routes());
  }

  override async changeRules(script: string): Promise<void> {
    await this.#call(() => super.changeRules(script));
  }

  override async table(family: "bridge" | "inet", name: string): Promise<string | null> {
    return await this.#call(() => super.table(family, name));
  }

  override async forwards(): Promise<boolean> {
    return await this.#call(() => super.forwards());
  }

  override async setForwards(on: boolean): Promise<void> {
    await this.#call(() => super.setForwards(on));
  }

  async #call<T>(body: () => Promise<T>): Promise<T> {
    const { step, when, once } = this.#fault;
    if (!this.isArmed) return await body();
    if (this.hasFailed && !once) throw new Error("fault: it has ended");
    this.#calls += 1;
    if (this.hasFailed || this.#calls !== step) return await body();
    this.hasFailed = true;
    if (when === "after") await body();
    throw new Error("fault");
  }
}
