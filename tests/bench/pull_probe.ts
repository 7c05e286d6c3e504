import type { Paths } from "../../src/paths/paths.ts";
import { isBangers, MemoryProbe } from "../support/memory_probe.ts";
import { RawClient } from "./raw_client.ts";

/** What a {@linkcode PullProbe} saw. */
export interface PullFacts {
  /** Resident memory of all of banger's processes together, the most of all samples. */
  readonly peakRssMib: number;
  readonly callsMs: readonly number[];
}

const callEveryMs = 5;

/**
 * Watches the daemon while something else keeps it busy: calls it over and over, and adds up the
 * memory of its processes and of the clients below this one.
 */
export class PullProbe implements AsyncDisposable {
  readonly #client: RawClient;
  readonly #memory: MemoryProbe;
  readonly #calls: number[] = [];
  #isStopped = false;
  readonly #running: Promise<void>;

  private constructor(client: RawClient, daemonPid: number) {
    this.#client = client;
    this.#memory = new MemoryProbe(() => [daemonPid, Deno.pid], isBangers);
    this.#running = this.#call();
  }

  static async start(paths: Paths): Promise<PullProbe> {
    const client = await RawClient.connect(paths.daemonSocket);
    return new PullProbe(client, Number((await client.result("daemon.status"))["pid"]));
  }

  /** Ends the watching. */
  async stop(): Promise<PullFacts> {
    this.#isStopped = true;
    await this.#running;
    return { peakRssMib: await this.#memory.stop(), callsMs: this.#calls };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#client[Symbol.dispose]();
  }

  async #call(): Promise<void> {
    while (!this.#isStopped) {
      const startMs = performance.now();
      await this.#client.call("vm.list");
      this.#calls.push(performance.now() - startMs);
      await pause(callEveryMs);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
