/**
 * The net filter of a VM in rootless mode: a small process between QEMU and passt(1) that lets through
 * only the frames that a guest may send. passt alone connects to the host's loopback for a guest that
 * addresses a packet to 127.0.0.1.
 *
 * Owns the rules, the relay and the filter's socket; the process itself is `src/netfilter`. Must not
 * import services or the store.
 */
import { removeIfThere } from "../../files/remove_if_there.ts";
import { BangerError } from "../../model/errors.ts";
import type { MacAddress } from "../../net/mac_address.ts";
import type { HostProcesses, ProcessExit, ProcessHandle } from "../../process/host_processes.ts";
import { endProcess } from "../end_process.ts";
import { unreadySocket } from "../../version/unready_socket.ts";
import { throwIfCancelled, untilSocket } from "../socket_ready.ts";

/** How long the filter may take until its socket is there. */
const readyTimeoutMs = 10_000;
/** How long it may take to end after each signal. */
const endLimits = { quitMs: 0, terminateMs: 1_000, killMs: 5_000 };

/** What a filter is started for. */
export interface NetFilterSpec {
  /** Where QEMU will connect, in the per-VM directory that `dropTo` may write. */
  readonly socketPath: string;
  /** passt's socket; it may appear later, the filter connects when QEMU has. */
  readonly passtSocketPath: string;
  /** The guest's MAC address. */
  readonly mac: MacAddress;
  /** Per-VM directory for its stderr. */
  readonly stateDir: string;
  readonly dropTo: { readonly uid: number; readonly gid: number } | null;
}

/** A running filter. It ends by itself when QEMU or passt has ended. */
export interface NetFilterHandle {
  readonly process: ProcessHandle;
  /** Where QEMU connects. */
  readonly socketPath: string;
}

/**
 * Starts the filter and answers when QEMU can connect. Undoes everything when it fails or `signal`
 * aborts.
 *
 * @throws BangerError `internal` when it refuses to start (`detail` holds its stderr), `timeout`,
 * `cancelled`
 */
export async function startNetFilter(
  processes: HostProcesses,
  spec: NetFilterSpec,
  signal: AbortSignal,
): Promise<NetFilterHandle> {
  const { socketPath } = spec;
  throwIfCancelled("the net filter", signal);
  await removeSockets(socketPath);
  const process = await processes.launch({
    program: "net_filter",
    args: [socketPath, spec.passtSocketPath, spec.mac],
    files: [],
    dropTo: spec.dropTo,
    stderrPath: `${spec.stateDir}/net_filter.stderr`,
  });
  const handle: NetFilterHandle = { process, socketPath };
  try {
    const awaited = { name: "the net filter", process, path: socketPath, refusal };
    await untilSocket(processes, { ...awaited, timeoutMs: readyTimeoutMs }, signal);
    return handle;
  } catch (error) {
    await stopNetFilter(processes, handle);
    throw error;
  }
}

/** Ends the filter and removes its socket. */
export async function stopNetFilter(
  processes: HostProcesses,
  filter: NetFilterHandle,
): Promise<void> {
  await endProcess(processes, filter.process, endLimits, null);
  await removeSockets(filter.socketPath);
}

async function removeSockets(socketPath: string): Promise<void> {
  await removeIfThere(socketPath);
  await removeIfThere(unreadySocket(socketPath));
}

function refusal(exit: ProcessExit): BangerError {
  const how = exit.signal ?? `exit code ${exit.code}`;
  return new BangerError("internal", `Cannot start the net filter: it ended with ${how}`, {
    detail: exit.stderr.trim(),
  });
}
