import { BangerError } from "../../model/errors.ts";
import { laneCount } from "../../wire/lane.ts";

/** Longest path of a Unix socket, in bytes without the closing NUL (unix(7)). */
export const maxSocketPathBytes = 107;

/** The sockets that QEMU listens on, all in the VM's run directory. */
export interface SocketPaths {
  /** QMP. */
  readonly qmp: string;
  /** The virtio-serial port of the guest agent. */
  readonly agent: string;
  /** The serial console. */
  readonly console: string;
  /** The virtio-serial ports of the lanes, by number. */
  readonly lanes: readonly string[];
}

/**
 * Where the sockets of the VM with `runDir` are.
 * @throws BangerError `precondition` when the directory is too long for socket paths
 */
export function socketPaths(runDir: string): SocketPaths {
  const paths = {
    qmp: `${runDir}/q`,
    agent: `${runDir}/a`,
    console: `${runDir}/c`,
    lanes: Array.from({ length: laneCount }, (_, lane) => `${runDir}/${lane}`),
  };
  if (new TextEncoder().encode(paths.qmp).length > maxSocketPathBytes) {
    throw new BangerError(
      "precondition",
      `Cannot use directory "${runDir}": socket paths end at ${maxSocketPathBytes} bytes`,
      { hint: "Set XDG_RUNTIME_DIR to a shorter directory" },
    );
  }
  return paths;
}
