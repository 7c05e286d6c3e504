/**
 * The network of a VM in rootless mode: one passt(1) process between the guest's frames and the host's
 * sockets. What may reach it is up to `../netfilter`.
 *
 * Owns passt's command line, its socket and the choice of its forwarded ports. Starts passt only through
 * `HostProcesses`. Must not import services or the store.
 */
import { removeIfThere } from "../../files/remove_if_there.ts";
import { BangerError } from "../../model/errors.ts";
import type { LoopbackPorts } from "../../net/loopback_port.ts";
import type { HostProcesses, ProcessExit, ProcessHandle } from "../../process/host_processes.ts";
import { endProcess } from "../end_process.ts";
import { throwIfCancelled, untilSocket } from "../socket_ready.ts";
import { passtCommandLine, type PortForward } from "./command_line.ts";

/** How long passt may take until its socket is there. */
const readyTimeoutMs = 5_000;
/** How long it may take to end after each signal. */
const endLimits = { quitMs: 0, terminateMs: 1_000, killMs: 5_000 };
/** How often other ports are tried when one was taken by another program. */
const maxTries = 5;

/** What passt is started for. */
export interface PasstSpec {
  /** Per-VM directory for the socket, writable by `dropTo`. */
  readonly runDir: string;
  /** Per-VM directory for its stderr. */
  readonly stateDir: string;
  /** Guest TCP ports to reach from the host's loopback, and the host ports that were used last. */
  readonly forwards: readonly { readonly guestPort: number; readonly preferred: number | null }[];
  readonly dropTo: { readonly uid: number; readonly gid: number } | null;
}

/** A running passt; what must be remembered of it. It ends by itself when its connection has. */
export interface PasstHandle {
  readonly process: ProcessHandle;
  /** Where the net filter connects. */
  readonly socketPath: string;
  readonly forwards: readonly PortForward[];
}

/**
 * Starts passt and answers when the net filter can connect. Undoes everything when it fails or `signal` aborts. The
 * ports stay reserved in `ports` until the caller releases them.
 *
 * @throws BangerError `precondition` when it is not installed or the host forbids what it needs,
 * `internal` when it refuses to start (`detail` holds its stderr), `timeout`, `cancelled`
 */
export async function startPasst(
  processes: HostProcesses,
  ports: LoopbackPorts,
  spec: PasstSpec,
  signal: AbortSignal,
): Promise<PasstHandle> {
  for (let tries = 1;; tries++) {
    throwIfCancelled("passt", signal);
    const forwards = spec.forwards.map(({ guestPort, preferred }): PortForward => ({
      guestPort,
      hostPort: ports.reserve(tries === 1 ? preferred : null),
    }));
    try {
      return await startOnce(processes, spec, forwards, signal);
    } catch (error) {
      ports.release(forwards.map(({ hostPort }) => hostPort));
      if (!(error instanceof PortTaken) || tries >= maxTries) throw error;
    }
  }
}

/** Ends passt and removes its socket. For one that nobody ever connected to; else it ends by itself. */
export async function stopPasst(
  processes: HostProcesses,
  passt: Pick<PasstHandle, "process" | "socketPath">,
): Promise<void> {
  await endProcess(processes, passt.process, endLimits, null);
  await removeIfThere(passt.socketPath);
}

async function startOnce(
  processes: HostProcesses,
  spec: PasstSpec,
  forwards: readonly PortForward[],
  signal: AbortSignal,
): Promise<PasstHandle> {
  const socketPath = `${spec.runDir}/n`;
  await removeIfThere(socketPath);
  const process = await processes.launch({
    program: "passt",
    args: passtCommandLine(socketPath, forwards),
    files: [],
    dropTo: spec.dropTo,
    stderrPath: `${spec.stateDir}/passt.stderr`,
  });
  const handle: PasstHandle = { process, socketPath, forwards };
  try {
    // passt binds its ports before its socket.
    const timeoutMs = readyTimeoutMs;
    await untilSocket(
      processes,
      { name: "passt", process, path: socketPath, timeoutMs, refusal },
      signal,
    );
    return handle;
  } catch (error) {
    await stopPasst(processes, handle);
    throw error;
  }
}

/** The kernel gave a port to another program between our look and passt's. */
class PortTaken extends BangerError {}

function refusal(exit: ProcessExit): BangerError {
  const detail = exit.stderr.split("\n").filter((line) => !/to syslog$/.test(line)).join("\n")
    .trim();
  if (/Failed to bind any port/.test(detail)) {
    return new PortTaken("unavailable", "Cannot start passt: a port was taken meanwhile", {
      detail,
    });
  }
  if (/user namespace/.test(detail)) {
    return new BangerError(
      "precondition",
      "Cannot start passt: this host does not let it make a user namespace",
      { detail, hint: "Allow unprivileged user namespaces; inside a chroot there are none" },
    );
  }
  const how = exit.signal ?? `exit code ${exit.code}`;
  return new BangerError("internal", `Cannot start passt: it ended with ${how}`, { detail });
}
