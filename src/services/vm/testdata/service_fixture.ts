/**
 * The VM service over a real store and real locks, with machines that are objects in this process. Must
 * not be imported by anything but tests.
 */
import type { AgentSession } from "../../../guest/agent_session.ts";
import { BangerError } from "../../../model/errors.ts";
import type { VmId } from "../../../model/ids.ts";
import type { StageReporter } from "../../../model/stages.ts";
import type { VmRecord } from "../../../model/vm.ts";
import { ListenError, type LoopbackListener } from "../../../net/loopback_listener.ts";
import type { VmPaths } from "../../../paths/paths.ts";
import type { ProcessExit } from "../../../process/host_processes.ts";
import { Store } from "../../../store/store.ts";
import { Locks } from "../../../sync/locks.ts";
import type { Machine } from "../../../vmm/contract.ts";
import type { BootSet, Missing, StartStep } from "../contract.ts";
import type { CreateRequest } from "../create.ts";
import { Lanes } from "../lanes/lanes.ts";
import { LiveTable } from "../live.ts";
import { HostPorts } from "../ports/host_ports.ts";
import { VmService } from "../vm_service.ts";

/** Reports nothing. */
export const silent: StageReporter = { stage: (_stage, body) => body(() => {}), notice: () => {} };

/** A signal that never aborts. */
export const never: AbortSignal = new AbortController().signal;

/** A create of a VM with this name and otherwise nothing special. */
export function createRequest(name: string, given: Partial<CreateRequest> = {}): CreateRequest {
  return {
    ...{ name, image: null, kernel: null, cpus: null, memoryMib: null, diskBytes: null },
    ...{ workDiskBytes: null, publish: [], autoPorts: false },
    ...{ labels: {}, autoStopMs: null, workspace: null, ephemeral: false, start: false },
    ...{ gitIdentity: null, imageDefaults: true },
    ...given,
  };
}

/** The service, and what its VMs have on the "host". */
export class ServiceFixture implements Disposable {
  readonly store: Store;
  readonly service: VmService;
  /** Runs that have begun and not been torn down, by VM. */
  readonly running = new Map<VmId, FakeMachine>();
  /** Sizes of the disks that there are, in bytes. */
  readonly disks = new Map<VmId, number>();
  /** Likewise of work disks. */
  readonly workDisks = new Map<VmId, number>();
  /** Called in the middle of every step; to make things take time. */
  pause: () => Promise<void> = () => Promise.resolve();
  /** Set: starts fail with it. */
  startFailure: Error | undefined;
  /** Set: it is the guests of those starts that break, not the host. */
  guestsBreak = false;
  /** The next starts fail with these, one each. */
  readonly startFailures: Error[] = [];
  /** How many starts have come as far as the machine. */
  starts = 0;
  /** Set: disks cannot be removed, or made. */
  removeFailure: Error | undefined;
  prepareFailure: Error | undefined;
  /** What is missing for a start. */
  missing: readonly Missing[] = [];
  /** The images that can be had, and how large their disks are. */
  readonly images = new Map([["base", 8 * 1024 ** 3]]);
  readonly warnings: string[] = [];
  /** Milliseconds since some point; a test lets them pass. */
  monotonicMs = 0;
  /** Ports of the host that somebody listens on: banger, or another program. */
  readonly listening = new Map<number, "banger" | "other">();
  readonly hostPorts = new HostPorts({
    listen: (port) => this.#listen(port),
    vms: () => this.store.vms.list(),
  });
  readonly #dir: string;

  constructor() {
    // Every test makes stores anew: where there is a tmpfs, nothing waits for a disk.
    this.#dir = Deno.makeTempDirSync(hasTmpfs() ? { dir: "/dev/shm" } : {});
    const location = {
      storeFile: `${this.#dir}/store.db`,
      storeBackup: (version: number) => `${this.#dir}/store.db.bak-${version}`,
    };
    this.store = Store.open(location);
    this.service = this.#makeService();
  }

  /** The row of the VM that is called so. */
  row(name: string): VmRecord {
    const vm = this.store.vms.findByName(name);
    if (vm === undefined) throw new Error(`there is no VM ${name}`);
    return vm;
  }

  /** What runs on the host though its row does not say so, and the other way round. */
  disagreements(): string[] {
    const rows = new Map(this.store.vms.list().map((vm) => [vm.id, vm.state]));
    return [
      ...[...this.running.keys()].filter((id) => rows.get(id) !== "running"),
      ...[...rows].filter(([id, state]) => state === "running" && !this.running.has(id))
        .map(([id]) => id),
      ...[...this.disks.keys()].filter((id) => !rows.has(id)),
    ];
  }

  [Symbol.dispose](): void {
    this.service.release();
    this.store[Symbol.dispose]();
    Deno.removeSync(this.#dir, { recursive: true });
  }

  #makeService(): VmService {
    const locks = new Locks();
    return new VmService({
      store: this.store.vms,
      locks: {
        isVmBusy: (id) => locks.busy("vm", id),
        vm: (id, signal, body) => locks.hold("vm", id, signal, body),
        create: (signal, body) => locks.hold("create_vm", "all", signal, body),
      },
      bootSets: {
        ensure: (image) => Promise.resolve().then(() => this.#bootSetOf(image)),
        find: ({ config }) => Promise.resolve(this.#bootSetOf(config.image)),
      },
      disks: {
        has: ({ stateDir }) => Promise.resolve(this.disks.has(stateDir as VmId)),
        remove: async ({ stateDir }) => {
          await this.pause();
          if (this.removeFailure !== undefined) throw this.removeFailure;
          this.disks.delete(stateDir as VmId);
        },
        grow: async ({ stateDir }, sizeBytes) => {
          await this.pause();
          this.disks.set(stateDir as VmId, sizeBytes);
        },
      },
      workDisks: {
        make: ({ stateDir }, sizeBytes) => {
          this.workDisks.set(stateDir as VmId, sizeBytes);
          return Promise.resolve();
        },
        grow: ({ stateDir }, sizeBytes) => {
          this.workDisks.set(stateDir as VmId, sizeBytes);
          return Promise.resolve();
        },
        isLeft: ({ stateDir }) => Promise.resolve(this.workDisks.has(stateDir as VmId)),
        drop: ({ stateDir }) => {
          this.workDisks.delete(stateDir as VmId);
          return Promise.resolve();
        },
      },
      steps: [this.#diskStep(), this.#machineStep()],
      live: new LiveTable(),
      lanesOf: () =>
        new Lanes({
          open: () => Promise.reject(new Error("there are no lanes")),
          count: 0,
          monotonicMs: () => 0,
          randomHex: () => "",
        }),
      hostPorts: this.hostPorts,
      defaults: {
        image: "base",
        kernel: null,
        cpus: 2,
        memoryMib: 1024,
        diskBytes: null,
        workDiskBytes: 0,
      },
      // Nothing is at any of them but what the map of disks has.
      paths: (id) => this.#pathsOf(id),
      now: () => 1_700_000_000_000,
      monotonicMs: () => this.monotonicMs,
      log: { info: () => {}, warn: (text) => void this.warnings.push(text) },
      adopt: () => Promise.resolve(null),
      processes: () => Promise.resolve([]),
      endProcess: () => Promise.resolve(),
      reconnect: () => Promise.reject(new Error("no link")),
      idsOnDisk: () => [...this.disks.keys()],
    });
  }

  #bootSetOf(name: string): BootSet {
    const virtualBytes = this.images.get(name);
    if (virtualBytes === undefined) {
      throw new BangerError("not_found", `Cannot find image "${name}": there is none`);
    }
    return {
      image: { name, digest: `sha256:${name}`, virtualBytes, kernel: "kernel" },
      kernel: { name: "kernel", digest: "sha256:bb" },
      kitPath: "/kit",
    } as BootSet;
  }

  #pathsOf(id: VmId): VmPaths {
    const nowhere = (name: string) => `${this.#dir}/nowhere/${id}/${name}`;
    return {
      ...{ stateDir: id, runDir: nowhere("run"), handles: nowhere("handles.json") },
      ...{ memory: nowhere("memory"), seededInitrd: nowhere("initrd.img") },
    } as unknown as VmPaths;
  }

  #listen(port: number): Promise<LoopbackListener> {
    if (this.listening.has(port)) return Promise.reject(new ListenError("taken", "in use"));
    this.listening.set(port, "banger");
    return Promise.resolve({ port, close: () => void this.listening.delete(port) });
  }

  #diskStep(): StartStep {
    return {
      name: "system_disk",
      dependsOn: [],
      preflight: () => Promise.resolve(this.missing),
      prepare: async ({ vm }) => {
        await this.pause();
        if (this.prepareFailure !== undefined) throw this.prepareFailure;
        if (!this.disks.has(vm.id)) this.disks.set(vm.id, vm.config.diskBytes);
      },
      cleanup: async (id) => {
        await this.pause();
        this.disks.delete(id);
      },
    };
  }

  #machineStep(): StartStep {
    return {
      name: "machine",
      dependsOn: ["system_disk"],
      start: async ({ vm, facts }) => {
        await this.pause();
        this.starts++;
        const failure = this.startFailures.shift() ?? this.startFailure;
        facts.isBooting = failure !== undefined && this.guestsBreak;
        if (failure !== undefined) throw failure;
        if (this.running.has(vm.id)) throw new Error(`${vm.id} runs twice`);
        const machine = new FakeMachine(vm.id);
        this.running.set(vm.id, machine);
        facts.machine = machine;
        facts.accelerator = "tcg";
        facts.session = machine.session;
        await this.pause();
      },
      stop: async (id) => {
        await this.pause();
        this.running.get(id)?.end();
        this.running.delete(id);
      },
    };
  }
}

/** A machine without a process. */
export class FakeMachine implements Machine {
  readonly handle: Machine["handle"];
  readonly ended: Promise<ProcessExit>;
  readonly session: AgentSession;
  /** Streams that were opened to its guest. */
  readonly streams: { onControl: (message: unknown) => void }[] = [];
  /** Whether the guest powers off when it is asked to. */
  obeys = true;
  readonly #end: (exit: ProcessExit) => void;
  readonly #release: (reason: Error) => void;

  constructor(id: VmId) {
    const { promise, resolve, reject } = Promise.withResolvers<ProcessExit>();
    promise.catch(() => {});
    this.ended = promise;
    this.#end = resolve;
    this.#release = reject;
    this.handle = { stateDir: id } as unknown as Machine["handle"];
    this.session = {
      welcome: { version: 3 },
      open: () => {
        const stream = { onControl: () => {}, reset: () => {} };
        this.streams.push(stream);
        return stream;
      },
      shutdown: () => {
        if (this.obeys) this.end();
        return Promise.resolve();
      },
      closed: new Promise(() => {}),
      close: () => {},
    } as unknown as AgentSession;
  }

  /** Its process ends. */
  end(exit: Partial<ProcessExit> = {}): void {
    this.#end({ code: 0, signal: null, stderr: "", ...exit });
  }

  state = () => Promise.resolve("running" as const);
  openAgentLink = () => Promise.reject(new Error("no link"));
  openLane = () => Promise.reject(new Error("no lane"));
  pause = () => Promise.resolve();
  resume = () => Promise.resolve();
  readConsole = () => Promise.resolve(new Uint8Array(0));

  kill(): Promise<void> {
    this.end({ code: null, signal: "SIGKILL" });
    return Promise.resolve();
  }

  release(): void {
    this.#release(new Error("released"));
  }
}

function hasTmpfs(): boolean {
  try {
    return Deno.statSync("/dev/shm").isDirectory;
  } catch {
    return false;
  }
}
