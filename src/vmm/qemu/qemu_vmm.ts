/**
 * The QEMU driver: the `microvm` machine, watched over QMP.
 *
 * Owns QEMU's command line, its sockets, the console ring and the guest's memory file. Starts QEMU only
 * through `HostProcesses`. Must not import services, the store, images or kernels.
 */
import { BangerError, isBangerError, reasonOf } from "../../model/errors.ts";
import type { HostProcesses, ProcessHandle } from "../../process/host_processes.ts";
import type { AdoptOptions, Machine, MachineSpec, Vmm, VmmHandle } from "../contract.ts";
import { LocalMemoryFiles, type MemoryFiles } from "../memory_file.ts";
import { qemuCommandLine } from "./command_line.ts";
import { recordConsole } from "./console_recorder.ts";
import { ConsoleRing } from "./console_ring.ts";
import { endProcess } from "../end_process.ts";
import { defaultLimits, type QemuLimits } from "./limits.ts";
import { type QemuConnections, QemuMachine, removeLeftovers } from "./qemu_machine.ts";
import { QmpClient } from "./qmp_client.ts";
import { socketPaths } from "./socket_paths.ts";
import { connectUnix } from "./unix_link.ts";

/** Starts and adopts QEMU processes. */
export class QemuVmm implements Vmm {
  readonly kind = "qemu";
  readonly #processes: HostProcesses;
  readonly #limits: QemuLimits;
  readonly #memory: MemoryFiles;
  /** The machines that this driver watches, by process: a VMM's monitor answers one connection at a time. */
  readonly #machines = new Map<string, QemuMachine>();

  constructor(
    processes: HostProcesses,
    limits: Partial<QemuLimits> = {},
    memory: MemoryFiles = new LocalMemoryFiles(),
  ) {
    this.#memory = memory;
    this.#processes = processes;
    this.#limits = { ...defaultLimits, ...limits };
  }

  async launch(spec: MachineSpec, signal: AbortSignal): Promise<Machine> {
    throwIfCancelled(signal);
    await using undo = new AsyncDisposableStack();
    const ring = new ConsoleRing(spec.stateDir);
    // An earlier start whose end nobody saw may have left some.
    await this.clear(spec);
    const memoryPath = await this.#memory.make(spec.memoryPaths, spec.memoryMib, spec.dropTo);
    undo.defer(() => removeLeftovers({ runDir: spec.runDir, memoryPath }, this.#memory));
    const commandLine = qemuCommandLine(spec, memoryPath);
    await ring.clear();
    throwIfCancelled(signal);
    const stderrPath = `${spec.stateDir}/qemu.stderr`;
    const process = await this.#processes.launch({
      program: "qemu",
      args: commandLine.args,
      files: commandLine.files,
      dropTo: spec.dropTo,
      stderrPath,
    });
    undo.defer(() => endProcess(this.#processes, process, this.#limits, null));
    const watching = new AbortController();
    undo.defer(() => watching.abort());
    const handle: VmmHandle = {
      process,
      runDir: spec.runDir,
      stateDir: spec.stateDir,
      memoryPath,
    };
    spec.onProcess?.(handle);
    const connections = await this.#connect(spec, process, ring, watching.signal, signal);
    undo.move();
    return this.#watch(handle, watching, connections);
  }

  async clear({ runDir, memoryPaths }: Pick<MachineSpec, "runDir" | "memoryPaths">): Promise<void> {
    for (const memoryPath of [memoryPaths.tmpfs, memoryPaths.disk]) {
      await removeLeftovers({ runDir, memoryPath }, this.#memory);
    }
  }

  async adopt(handle: VmmHandle, options: AdoptOptions = {}): Promise<Machine | null> {
    if (options.isSeen !== true && !(await this.#processes.alive(handle.process))) {
      await removeLeftovers(handle, this.#memory);
      return null;
    }
    const known = this.#machines.get(processKey(handle));
    if (known !== undefined && known.handle.runDir === handle.runDir) return known;
    return this.#watch(handle, new AbortController(), {
      ...{ qmp: null, console: null, consoleFrom: options.consoleFrom },
    });
  }

  #watch(
    handle: VmmHandle,
    watching: AbortController,
    connections: QemuConnections,
  ): QemuMachine {
    const machine = new QemuMachine(
      handle,
      { processes: this.#processes, memory: this.#memory, limits: this.#limits, watching },
      connections,
    );
    const key = processKey(handle);
    this.#machines.set(key, machine);
    const forget = () => {
      if (this.#machines.get(key) === machine) this.#machines.delete(key);
    };
    // When the VM has ended, and when it is let go of.
    watching.signal.addEventListener("abort", forget, { once: true });
    return machine;
  }

  /**
   * Connects console and QMP while QEMU still initialises, so that nothing which the guest prints is
   * lost, and answers when QMP does: then QEMU has accepted the machine.
   */
  async #connect(
    spec: MachineSpec,
    process: ProcessHandle,
    ring: ConsoleRing,
    watching: AbortSignal,
    signal: AbortSignal,
  ): Promise<{ qmp: QmpClient; console: Promise<void> }> {
    const attempt = new AbortController();
    const stop = AbortSignal.any([attempt.signal, signal, watching]);
    const sockets = socketPaths(spec.runDir);
    const { connectTimeoutMs, commandTimeoutMs } = this.#limits;
    const recording = connectUnix(sockets.console, connectTimeoutMs, stop).then((link) => ({
      ended: recordConsole(link, ring, watching).catch(() => {}),
    }));
    const opening = connectUnix(sockets.qmp, connectTimeoutMs, stop).then((link) =>
      QmpClient.open(link, { timeoutMs: commandTimeoutMs }, stop)
    );
    const exiting = this.#processes.exited(process, stop).then((exit) => {
      const how = exit.signal ?? `exit code ${exit.code}`;
      throw refused(how, exit.stderr);
    });
    exiting.catch(() => {});
    try {
      const [console, qmp] = await Promise.race([Promise.all([recording, opening]), exiting]);
      attempt.abort();
      return { qmp, console: console.ended };
    } catch (error) {
      const reason = signal.aborted ? error : await this.#explain(error, exiting);
      attempt.abort();
      // The one that has not failed may be between two tries, or just have connected.
      const [, late] = await Promise.allSettled([recording, opening]);
      if (late.status === "fulfilled") late.value.close();
      throwIfCancelled(signal);
      throw reason;
    }
  }

  /** A broken connection is the sign of an exit that is about to be seen: then that is the reason. */
  async #explain(error: unknown, exiting: Promise<never>): Promise<unknown> {
    if (isRefusal(error)) return error;
    const grace = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => grace.resolve(undefined), this.#limits.consoleDrainMs);
    const exit = await Promise.race([exiting.catch((reason: unknown) => reason), grace.promise]);
    clearTimeout(timer);
    if (isRefusal(exit)) return exit;
    const kind = isBangerError(error, "timeout") ? "timeout" : "internal";
    return new BangerError(kind, `Cannot start QEMU: ${reasonOf(error)}`, { cause: error });
  }
}

const refusalCode = "QEMU_REFUSED";

/** A process of this boot; a recycled pid is another one. */
function processKey({ process: { pid, startTicks } }: VmmHandle): string {
  return `${pid} ${startTicks}`;
}

function refused(how: string, stderr: string): BangerError {
  return new BangerError("internal", `Cannot start QEMU: it ended with ${how}`, {
    code: refusalCode,
    detail: stderr.trim(),
    hint: "banger doctor checks what QEMU needs",
  });
}

function isRefusal(error: unknown): error is BangerError {
  return isBangerError(error) && error.code === refusalCode;
}

function throwIfCancelled(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new BangerError("cancelled", "Stopped the start of the VM: cancelled", {
    cause: signal.reason,
  });
}
