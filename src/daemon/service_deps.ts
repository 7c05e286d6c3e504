import type { Config } from "../config/config.ts";
import type { RunFlattener } from "../layers/apart/flatten_apart.ts";
import type { Logger } from "../log/log.ts";
import type { Paths } from "../paths/paths.ts";
import type { HostProcesses } from "../process/host_processes.ts";
import type { MemoryFiles } from "../vmm/memory_file.ts";
import type { Operations } from "../services/operation/operations.ts";
import type { Store } from "../store/store.ts";
import type { Locks } from "../sync/locks.ts";
import type { BuildInfo } from "../version/build_info.ts";
import type { HostFacts } from "./host_facts.ts";
import type { ServiceHandlers } from "./handler_table.ts";

/** What the services are built from. */
export interface ServiceDeps {
  readonly paths: Paths;
  readonly config: Config;
  readonly build: BuildInfo;
  readonly store: Store;
  readonly locks: Locks;
  readonly operations: Operations;
  /** Long-lived programs, started and watched by the broker. */
  readonly processes: HostProcesses;
  readonly memory: MemoryFiles;
  /** Unpacks an image in a process of its own. */
  readonly flatten: RunFlattener;
  /** What only the broker can see of the host. */
  readonly host: HostFacts;
  /** The log of one part, such as `vm`. */
  readonly logOf: (part: string) => Logger;
  /** Rate of the host's time stamp counter in kHz, when it is known. */
  readonly hostTscKhz: number | null;
  /** `http_proxy`, `https_proxy`, `no_proxy` as far as they are set. */
  readonly proxyEnv: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
  /** Milliseconds since any fixed point, never going back. */
  readonly monotonicMs: () => number;
  /** Aborts when the daemon begins to end. */
  readonly signal: AbortSignal;
}

/** The services, built and wired. */
export interface Services {
  readonly handlers: ServiceHandlers;
  /** How many VMs run now; for `daemon.status`. */
  runningVms(): number;
  /**
   * Called once, when the socket is served: adopts, repairs, removes orphans, begins background
   * work. Calls that need its end wait by themselves. A failure is logged, the daemon goes on.
   */
  start(): Promise<void>;
  /** Lets go of everything without touching running VMs. Operations have ended before. */
  close(): Promise<void>;
}
