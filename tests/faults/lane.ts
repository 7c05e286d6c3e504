import type { MethodName, ParamsOf, ResultOf } from "../../src/api/methods.ts";
import type { VmView } from "../../src/api/vm.ts";
import type { DaemonClient } from "../../src/client/daemon_client.ts";
import { BangerError } from "../../src/model/errors.ts";
import type { Paths } from "../../src/paths/paths.ts";
import { freePort } from "../support/loopback_client.ts";
import { FakeHome } from "../support/fake_vmm/fake_home.ts";
import { makeFaultApp } from "./fault_app.ts";
import { FaultDaemon } from "./fault_daemon.ts";
import type { Plan } from "./plan.ts";

/** How a call ended: `lost` when the daemon went away before it said. */
export type Outcome =
  | { readonly how: "ok"; readonly result: unknown }
  | { readonly how: "failed"; readonly error: BangerError }
  | { readonly how: "lost" };

/** How many ports of its host a lane has. */
const hostPortCount = 3;

/** A call that takes longer hangs, in milliseconds. */
const callLimitMs = 40_000;

/**
 * A home with its daemon, in which one run is made after the other. Several lanes know nothing of each
 * other.
 */
export class Lane implements AsyncDisposable {
  readonly fake: FakeHome;
  /** Ports of the host that only VMs of this lane are published at. */
  readonly hostPorts: readonly number[];
  /** Pids of the VMMs of VMs that no run may touch, by the VM's id. */
  readonly bystanders = new Map<string, number>();
  readonly #appDir: string;
  #daemon: FaultDaemon | undefined;
  #client: DaemonClient | undefined;

  private constructor(fake: FakeHome, appDir: string, hostPorts: readonly number[]) {
    this.fake = fake;
    this.#appDir = appDir;
    this.hostPorts = hostPorts;
  }

  /** Makes home and program, and starts the daemon. `settings` are more lines of the configuration. */
  static async make(...settings: readonly string[]): Promise<Lane> {
    const fake = await FakeHome.make('stats_poll_interval = "off"', ...settings);
    const lane = new Lane(fake, `${fake.dir}/app`, Array.from({ length: hostPortCount }, freePort));
    await makeFaultApp(lane.#appDir);
    await lane.up();
    return lane;
  }

  get paths(): Paths {
    return this.fake.paths;
  }

  /** Each of the guest's ports from 8001 on has its own of the host's. */
  wanted(guestPort: number): { readonly hostPort: number; readonly guestPort: number } {
    const hostPort = this.hostPorts[guestPort - 8001];
    if (hostPort === undefined) throw new Error(`port ${guestPort} is not of this lane`);
    return { hostPort, guestPort };
  }

  /** The daemon that runs, or that ended last. */
  get daemon(): FaultDaemon {
    if (this.#daemon === undefined) throw new Error("there is no daemon");
    return this.#daemon;
  }

  /**
   * Makes sure that a daemon serves, with everything in order that an earlier one left. With `plan` a new one
   * is started that is armed from its first effect on; then it may have ended before it serves.
   */
  async up(plan?: Plan, hours = 0): Promise<void> {
    if (plan === undefined && this.#daemon?.isOver === false) return;
    await this.down();
    this.#daemon = new FaultDaemon(this.#appDir, this.paths, this.fake.vmm.program, plan, hours);
    this.#client = await this.#daemon.connect();
    if (plan === undefined && this.#client === undefined) {
      throw new Error(`the daemon does not start: ${await this.#daemon.finish()}`);
    }
    // Answered when everything is in order.
    if (plan === undefined) await this.call("vm.list", {});
  }

  /** Kills the daemon, if it runs. VMs go on. */
  async down(): Promise<void> {
    this.#client?.close();
    this.#client = undefined;
    await this.#daemon?.kill();
  }

  /** Calls a method; a refusal is thrown, and so is the daemon's end. */
  async call<M extends MethodName>(method: M, params: ParamsOf<M>): Promise<ResultOf<M>> {
    if (this.#client === undefined) throw new BangerError("unavailable", "there is no daemon");
    return await this.#client.call(method, params, AbortSignal.timeout(callLimitMs));
  }

  /** Calls a method and, when that begins an operation, waits for its end. */
  async attempt<M extends MethodName>(method: M, params: ParamsOf<M>): Promise<Outcome> {
    try {
      const answer = await this.call(method, params) as { readonly operationId?: string };
      if (answer.operationId === undefined) return { how: "ok", result: answer };
      const client = this.#client!;
      const stop = AbortSignal.timeout(callLimitMs);
      const operation = await client.watch(answer.operationId, () => {}, stop);
      if (operation.state === "succeeded") return { how: "ok", result: operation.result };
      const { message = operation.state } = operation.error ?? {};
      return { how: "failed", error: new BangerError("internal", message) };
    } catch (error) {
      return await this.#outcomeOf(error);
    }
  }

  /** As {@linkcode attempt}. @throws Error unless it succeeds */
  async done<M extends MethodName>(method: M, params: ParamsOf<M>): Promise<void> {
    const outcome = await this.attempt(method, params);
    if (outcome.how === "ok") return;
    const why = outcome.how === "failed" ? outcome.error.message : "the daemon ended";
    throw new Error(`${method} ${JSON.stringify(params)}: ${why}`);
  }

  async vms(): Promise<readonly VmView[]> {
    return (await this.call("vm.list", {})).vms;
  }

  async vm(name: string): Promise<VmView | undefined> {
    return (await this.vms()).find((vm) => vm.name === name);
  }

  /** How something ended that speaks with the daemon itself. */
  async outcomeOf(body: () => Promise<void>): Promise<Outcome> {
    try {
      await body();
      return { how: "ok", result: null };
    } catch (error) {
      await this.daemon.endedWithin(1_000);
      if (this.daemon.isOver) return { how: "lost" };
      return { how: "failed", error: new BangerError("internal", (error as Error).message) };
    }
  }

  /** A connection breaks a moment before the end of the process is seen. */
  async #outcomeOf(error: unknown): Promise<Outcome> {
    if (!(error instanceof BangerError)) throw error;
    if (error.kind === "unavailable") {
      await this.daemon.endedWithin(1_000);
      if (this.daemon.isOver) return { how: "lost" };
    }
    return { how: "failed", error };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#deleteAll();
    } catch {
      // With a daemon that cannot work any more; what VMs have would stay.
      await this.down();
      await this.#deleteAll();
    }
    this.#client?.close();
    await this.daemon.stop();
    await this.fake[Symbol.asyncDispose]();
  }

  async #deleteAll(): Promise<void> {
    await this.up();
    for (const { name } of await this.vms()) {
      await this.attempt("vm.delete", { vm: name, force: true });
    }
  }
}
