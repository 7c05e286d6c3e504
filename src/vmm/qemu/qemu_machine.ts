import { removeIfThere } from "../../files/remove_if_there.ts";
import { BangerError, isBangerError, reasonOf } from "../../model/errors.ts";
import type { HostProcesses, ProcessExit } from "../../process/host_processes.ts";
import type { GuestLink, LaneLink, Machine, MachineState, VmmHandle } from "../contract.ts";
import type { MemoryFiles } from "../memory_file.ts";
import { recordConsole } from "./console_recorder.ts";
import { ConsoleRing } from "./console_ring.ts";
import { LanePorts } from "./lane_ports.ts";
import { QmpClient } from "./qmp_client.ts";
import { isRecord } from "./qmp_message.ts";
import { once } from "../../sync/once.ts";
import { type SocketPaths, socketPaths } from "./socket_paths.ts";
import { endProcess } from "../end_process.ts";
import type { QemuLimits } from "./limits.ts";
import { connectUnix } from "./unix_link.ts";

/** The connections that a launch has made already; an adopted machine makes them when needed. */
export interface QemuConnections {
  readonly qmp: QmpClient | null;
  /** Whether a console reader runs already, and its end. */
  readonly console: Promise<void> | null;
  /** When a console that nobody reads is connected to; at once when left out. */
  readonly consoleFrom?: Promise<void> | undefined;
}

/** What a machine needs from its driver. */
export interface QemuMachineParts {
  readonly processes: HostProcesses;
  readonly memory: MemoryFiles;
  readonly limits: QemuLimits;
  /** Stops everything that watches the VM; aborted by `release` and when the VM has ended. */
  readonly watching: AbortController;
}

/** A QEMU process that runs a guest. */
export class QemuMachine implements Machine {
  readonly handle: VmmHandle;
  readonly ended: Promise<ProcessExit>;
  readonly #parts: QemuMachineParts;
  readonly #ring: ConsoleRing;
  readonly #sockets: SocketPaths;
  readonly #console: Promise<void>;
  readonly #lanePorts = new LanePorts(() => this.#monitor());
  #qmp: Promise<QmpClient> | undefined;
  #exit: ProcessExit | undefined;
  readonly #killOnce = once(() => this.#kill());
  #released = false;

  constructor(handle: VmmHandle, parts: QemuMachineParts, connections: QemuConnections) {
    this.handle = handle;
    this.#parts = parts;
    this.#ring = new ConsoleRing(handle.stateDir);
    this.#sockets = socketPaths(handle.runDir);
    this.#qmp = connections.qmp === null ? undefined : Promise.resolve(connections.qmp);
    this.#console = connections.console ?? this.#reconnectConsole(connections.consoleFrom);
    this.ended = this.#untilEnded();
    // Nobody has to wait for the end; a released machine never ends.
    this.ended.catch(() => {});
  }

  async state(): Promise<MachineState> {
    if (this.#exit !== undefined) return "ended";
    try {
      const answer = await (await this.#monitor()).execute("query-status");
      return isRecord(answer) && answer.running === true ? "running" : "paused";
    } catch (error) {
      if (!(await this.#parts.processes.alive(this.handle.process))) return "ended";
      throw error;
    }
  }

  async openAgentLink(signal: AbortSignal): Promise<GuestLink> {
    const { watching, limits } = this.#parts;
    const { agent } = this.#sockets;
    try {
      return await connectUnix(agent, limits.connectTimeoutMs, signal, watching.signal);
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      const state = this.#exit === undefined ? reasonOf(cause) : "the VM has ended";
      throw new BangerError("unavailable", `Cannot reach the guest agent: ${state}`, { cause });
    }
  }

  async openLane(lane: number): Promise<LaneLink> {
    const path = this.#sockets.lanes[lane];
    try {
      if (path === undefined) throw new Error("there is no such lane");
      if (this.#exit !== undefined) throw new Error("the VM has ended");
      await this.#lanePorts.plug(lane);
      // Without a wait: QEMU made it before the guest ran, or never will.
      return await connectUnix(path, 0, this.#parts.watching.signal);
    } catch (cause) {
      throw new BangerError("unavailable", `Cannot open lane ${lane}: ${reasonOf(cause)}`, {
        cause,
      });
    }
  }

  async pause(): Promise<void> {
    await this.#unlessEnded("stop");
  }

  async resume(): Promise<void> {
    await this.#unlessEnded("cont");
  }

  kill(): Promise<void> {
    return this.#killOnce();
  }

  async readConsole(maxBytes: number): Promise<Uint8Array> {
    return await this.#ring.readEnd(maxBytes);
  }

  release(): void {
    this.#released = this.#exit === undefined;
    this.#parts.watching.abort();
    this.#hangUp();
  }

  async #untilEnded(): Promise<ProcessExit> {
    const { processes, watching, limits } = this.#parts;
    const exit = await processes.exited(this.handle.process, watching.signal);
    this.#exit = exit;
    // What QEMU printed last is still in the socket.
    await withinMs(this.#console, limits.consoleDrainMs);
    watching.abort();
    this.#hangUp();
    // It has ended, whatever it left: who stops the VM tries again, and is told.
    await removeLeftovers(this.handle, this.#parts.memory).catch(() => {});
    return exit;
  }

  async #kill(): Promise<void> {
    const { processes, limits } = this.#parts;
    const quit = async () => {
      const monitor = await this.#monitor();
      await monitor.execute("quit", {}, { timeoutMs: limits.quitMs });
    };
    await endProcess(processes, this.handle.process, limits, quit);
    if (this.#released) await removeLeftovers(this.handle, this.#parts.memory);
    else await this.ended;
  }

  async #unlessEnded(command: "stop" | "cont"): Promise<void> {
    try {
      await (await this.#monitor()).execute(command);
    } catch (error) {
      if (isBangerError(error, "unavailable") && (await this.#isGone())) return;
      throw error;
    }
  }

  async #isGone(): Promise<boolean> {
    return this.#exit !== undefined ||
      !(await this.#parts.processes.alive(this.handle.process));
  }

  /** The monitor connection: the one there is, or a new one when it broke or there was none. */
  #monitor(): Promise<QmpClient> {
    if (this.#qmp !== undefined) return this.#qmp;
    const connecting = this.#connectMonitor();
    this.#qmp = connecting;
    connecting.then(
      (client) => void client.closed.then(() => this.#forgetMonitor(connecting)),
      () => this.#forgetMonitor(connecting),
    );
    return connecting;
  }

  #forgetMonitor(which: Promise<QmpClient>): void {
    if (this.#qmp === which) this.#qmp = undefined;
  }

  async #connectMonitor(): Promise<QmpClient> {
    const { limits, watching } = this.#parts;
    try {
      const link = await connectUnix(
        this.#sockets.qmp,
        limits.commandTimeoutMs,
        watching.signal,
      );
      return await QmpClient.open(link, { timeoutMs: limits.commandTimeoutMs }, watching.signal);
    } catch (cause) {
      throw new BangerError("unavailable", `Cannot reach QEMU: ${reasonOf(cause)}`, { cause });
    }
  }

  async #reconnectConsole(from: Promise<void> | undefined): Promise<void> {
    const { signal } = this.#parts.watching;
    try {
      await from;
      const link = await connectUnix(
        this.#sockets.console,
        this.#parts.limits.connectTimeoutMs,
        signal,
      );
      await recordConsole(link, this.#ring, signal);
    } catch {
      // A console that cannot be recorded must not end the VM.
    }
  }

  #hangUp(): void {
    void this.#qmp?.then((client) => client.close(), () => {});
    this.#qmp = undefined;
  }
}

/** Removes what a VMM that has ended leaves: its sockets and the memory file. */
export async function removeLeftovers(
  handle: Pick<VmmHandle, "runDir" | "memoryPath">,
  memory: MemoryFiles,
): Promise<void> {
  const { qmp, agent, console, lanes } = socketPaths(handle.runDir);
  await memory.remove(handle.memoryPath);
  await Promise.all([qmp, agent, console, ...lanes].map(removeIfThere));
}

async function withinMs(promise: Promise<void>, limitMs: number): Promise<void> {
  const limit = Promise.withResolvers<void>();
  const timer = setTimeout(limit.resolve, limitMs);
  await Promise.race([promise, limit.promise]);
  clearTimeout(timer);
}
