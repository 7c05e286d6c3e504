import { once } from "../sync/once.ts";
import { fromWireError } from "../api/codec.ts";
import { BangerError } from "../model/errors.ts";
import type { RootfsFile } from "../images/examine_rootfs.ts";
import type {
  HostProcesses,
  LaunchSpec,
  ProcessExit,
  ProcessHandle,
} from "../process/host_processes.ts";
import type { BrokerArgument, BrokerCall, FromWorker, ToWorker } from "./broker_protocol.ts";
import type { DeviceAccess } from "../process/device_access.ts";
import type { HostFacts, VmmDevice } from "./host_facts.ts";
import type { FlattenerEnd, RunFlattener } from "../layers/apart/flatten_apart.ts";
import type { VmProcess } from "../vmm/vm_processes.ts";
import type { MemoryFiles, MemoryOwner, MemoryPaths } from "../vmm/memory_file.ts";

interface Pending {
  readonly onText?: (text: string) => void;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** The broker as the Worker sees it: processes and facts of the host, over messages. */
export class BrokerClient implements HostProcesses, HostFacts, MemoryFiles {
  readonly #post: (message: FromWorker) => void;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  readonly #bootId = once(() => this.#call("bootId", {}) as Promise<string>);

  constructor(post: (message: FromWorker) => void) {
    this.#post = post;
  }

  /** Takes an answer of the broker; other messages are left to the caller (false). */
  accept(message: ToWorker): boolean {
    if (message.type === "said") {
      this.#pending.get(message.id)?.onText?.(message.text);
      return true;
    }
    if (message.type !== "answer" && message.type !== "failure") return false;
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.type === "answer") pending?.resolve(message.result);
    else pending?.reject(fromWireError(message.error));
    return true;
  }

  launch(spec: LaunchSpec): Promise<ProcessHandle> {
    const args = [...spec.args];
    const files = spec.files.map(({ path, access }) => ({ path, access }));
    return this.#call("launch", { ...spec, args, files }) as Promise<ProcessHandle>;
  }

  alive(handle: ProcessHandle): Promise<boolean> {
    return this.#call("alive", { handle: plain(handle) }) as Promise<boolean>;
  }

  signal(handle: ProcessHandle, signal: "SIGTERM" | "SIGKILL"): Promise<boolean> {
    return this.#call("signal", { handle: plain(handle), signal }) as Promise<boolean>;
  }

  exited(handle: ProcessHandle, signal: AbortSignal): Promise<ProcessExit> {
    return this.#call("exited", { handle: plain(handle) }, signal) as Promise<ProcessExit>;
  }

  make(paths: MemoryPaths, memoryMib: number, owner: MemoryOwner): Promise<string> {
    return this.#call("makeMemory", { paths, memoryMib, owner }) as Promise<string>;
  }

  problem(paths: MemoryPaths, memoryMib: number): Promise<string | null> {
    return this.#call("memoryProblem", { paths, memoryMib }) as Promise<string | null>;
  }

  async remove(path: string): Promise<void> {
    await this.#call("removeMemory", { path });
  }

  peerUids(): Promise<readonly number[]> {
    return this.#call("peerUids", {}) as Promise<readonly number[]>;
  }

  /** As {@linkcode RunFlattener}; an abort is answered when the process is gone. */
  readonly flatten: RunFlattener = async (job, onText, signal) => {
    signal.throwIfAborted();
    const id = this.#nextId++;
    const withdraw = () => this.#post({ type: "withdraw", id });
    signal.addEventListener("abort", withdraw, { once: true });
    try {
      return await new Promise<unknown>((resolve, reject) => {
        this.#pending.set(id, { resolve, reject, onText });
        this.#post({ type: "call", id, call: "flatten", argument: job });
      }) as FlattenerEnd;
    } finally {
      signal.removeEventListener("abort", withdraw);
    }
  };

  async sealDescriptors(): Promise<void> {
    await this.#call("sealDescriptors", {});
  }

  bootId(): Promise<string> {
    return this.#bootId();
  }

  vmProcesses(): Promise<readonly VmProcess[]> {
    return this.#call("vmProcesses", {}) as Promise<readonly VmProcess[]>;
  }

  rootfsFile(path: string): Promise<RootfsFile> {
    return this.#call("rootfsFile", { path }) as Promise<RootfsFile>;
  }

  vmmDevice(path: VmmDevice): Promise<DeviceAccess> {
    return this.#call("vmmDevice", { path }) as Promise<DeviceAccess>;
  }

  #call<C extends BrokerCall>(
    call: C,
    argument: BrokerArgument<C>,
    signal?: AbortSignal,
  ): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(reasonOfAbort(signal));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#pending.delete(id);
        this.#post({ type: "withdraw", id });
        reject(reasonOfAbort(signal));
      };
      const settled = () => signal?.removeEventListener("abort", onAbort);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#pending.set(id, {
        resolve: (result) => (settled(), resolve(result)),
        reject: (error) => (settled(), reject(error)),
      });
      this.#post({ type: "call", id, call, argument });
    });
  }
}

function plain({ pid, startTicks }: ProcessHandle): ProcessHandle {
  return { pid, startTicks };
}

function reasonOfAbort(signal: AbortSignal | undefined): unknown {
  return signal?.reason ?? new BangerError("cancelled", "Stopped: cancelled");
}
