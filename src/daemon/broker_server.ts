import type * as v from "valibot";
import { checkParams, toWireError } from "../api/codec.ts";
import { BangerError } from "../model/errors.ts";
import type { HostProcesses, ProcessHandle } from "../process/host_processes.ts";
import type { RunFlattener } from "../layers/apart/flatten_apart.ts";
import type { MemoryFiles } from "../vmm/memory_file.ts";
import { type BrokerArgument, type BrokerCall, brokerCalls } from "./broker_protocol.ts";
import type { FromWorker, ToWorker } from "./broker_protocol.ts";
import type { BrokerHost } from "./host_facts.ts";
import type { LaunchPolicy } from "./launch_policy.ts";

/** What the broker serves. */
export interface BrokerParts {
  readonly processes: HostProcesses;
  readonly host: BrokerHost;
  readonly memory: MemoryFiles;
  readonly flatten: RunFlattener;
  readonly policy: LaunchPolicy;
}

type Handlers = {
  readonly [C in BrokerCall]: (
    argument: BrokerArgument<C>,
    signal: AbortSignal,
    say: (text: string) => void,
  ) => Promise<unknown>;
};

/** Most calls of the Worker that are answered at once. */
const maxCalls = 4096;
/** How many launches are remembered; an older one is looked for in the process table. */
const rememberedLaunches = 1024;

/**
 * Answers the Worker's calls. The Worker speaks with clients and guests, so nothing that comes from
 * it is trusted: each argument is checked against its shape, and what is to be launched against the
 * {@linkcode LaunchPolicy}.
 */
export class BrokerServer {
  readonly #handlers: Handlers;
  readonly #post: (message: ToWorker) => void;
  readonly #launched = new Set<string>();
  readonly #running = new Map<number, AbortController>();

  constructor(parts: BrokerParts, post: (message: ToWorker) => void) {
    const { processes, host, memory, flatten, policy } = parts;
    this.#post = post;
    this.#handlers = {
      launch: async (spec) => {
        await policy.check(spec);
        await host.sealDescriptors();
        // The Worker names no groups (the shape above has none): they follow from the devices.
        const { dropTo } = spec;
        const withGroups = dropTo === null || spec.program !== "qemu"
          ? spec
          : { ...spec, dropTo: { ...dropTo, groups: await host.vmmGroups() } };
        const handle = await processes.launch(withGroups);
        this.#remember(handle);
        return handle;
      },
      alive: ({ handle }) => processes.alive(handle),
      signal: async ({ handle, signal }) =>
        await this.#isOfVm(handle, host) && await processes.signal(handle, signal),
      exited: ({ handle }, signal) => processes.exited(handle, signal),
      peerUids: () => host.peerUids(),
      makeMemory: ({ paths, memoryMib, owner }) => {
        policy.checkMemory(paths.tmpfs, owner);
        policy.checkMemory(paths.disk, owner);
        return memory.make(paths, memoryMib, owner);
      },
      memoryProblem: ({ paths, memoryMib }) => {
        policy.checkMemory(paths.tmpfs, null);
        policy.checkMemory(paths.disk, null);
        return memory.problem(paths, memoryMib);
      },
      removeMemory: ({ path }) => {
        policy.checkMemory(path, null);
        return memory.remove(path);
      },
      flatten: async (job, signal, say) => {
        await host.sealDescriptors();
        return await flatten(job, say, signal);
      },
      sealDescriptors: () => host.sealDescriptors(),
      bootId: () => host.bootId(),
      vmProcesses: () => host.vmProcesses(),
      rootfsFile: ({ path }) => host.rootfsFile(path),
      vmmDevice: ({ path }) => host.vmmDevice(path),
    };
  }

  #remember(handle: ProcessHandle): void {
    this.#launched.add(keyOf(handle));
    const [oldest] = this.#launched;
    if (this.#launched.size > rememberedLaunches && oldest !== undefined) {
      this.#launched.delete(oldest);
    }
  }

  /** Whether it runs for a VM: nothing else is signalled, whatever the Worker, or a file that it read, says. */
  async #isOfVm(handle: ProcessHandle, host: BrokerHost): Promise<boolean> {
    if (this.#launched.has(keyOf(handle))) return true;
    const running = await host.vmProcesses();
    return running.some((one) => keyOf(one.handle) === keyOf(handle));
  }

  /** Answers one call; never throws. */
  async call(message: Extract<FromWorker, { type: "call" }>): Promise<void> {
    const { id } = message;
    const stop = new AbortController();
    try {
      if (this.#running.has(id) || this.#running.size >= maxCalls) {
        throw new BangerError("exhausted", `Cannot call "${message.call}": too many calls at once`);
      }
      this.#running.set(id, stop);
      const say = (text: string) => this.#post({ type: "said", id, text });
      const result = await this.#dispatch(message.call, message.argument, stop.signal, say);
      this.#post({ type: "answer", id, result });
    } catch (error) {
      this.#post({ type: "failure", id, error: toWireError(error) });
    } finally {
      if (this.#running.get(id) === stop) this.#running.delete(id);
    }
  }

  /** Gives up a call; its answer is no longer wanted. */
  withdraw(id: number): void {
    this.#running.get(id)?.abort(new BangerError("cancelled", "Stopped: cancelled"));
  }

  #dispatch(
    call: BrokerCall,
    argument: unknown,
    signal: AbortSignal,
    say: (text: string) => void,
  ): Promise<unknown> {
    const checked = checkParams(`broker ${call}`, brokerCalls[call] as v.GenericSchema, argument);
    const handler = this.#handlers[call] as (
      argument: unknown,
      signal: AbortSignal,
      say: (text: string) => void,
    ) => Promise<unknown>;
    return handler(checked, signal, say);
  }
}

function keyOf({ pid, startTicks }: ProcessHandle): string {
  return `${pid}:${startTicks}`;
}
