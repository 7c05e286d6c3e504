import { readText } from "./files.ts";

/** TCP_LISTEN as /proc/net/tcp has it (proc_net(5)). */
const listening = "0A";

/** Fields of a line of /proc/net/tcp that are looked at: addresses with ports, and the state. */
export interface SocketLine {
  /** Hexadecimal, as in the file. */
  readonly localAddress: string;
  readonly localPort: number;
  readonly remotePort: number;
  readonly isListening: boolean;
  readonly inode: string;
}

/** The TCP sockets of the guest, of IPv4 first. */
export function* tcpSockets(root: string): Iterable<SocketLine> {
  for (const file of ["tcp", "tcp6"]) {
    const text = readText(`${root}/proc/net/${file}`) ?? "";
    for (const line of text.split("\n").slice(1)) {
      const [, local, remote, state, , , , , , inode] = line.trim().split(/\s+/);
      if (local === undefined || remote === undefined || inode === undefined) continue;
      const [address = "", port = ""] = local.split(":");
      yield {
        localAddress: address,
        localPort: Number.parseInt(port, 16),
        remotePort: Number.parseInt(remote.split(":")[1] ?? "", 16),
        isListening: state === listening,
        inode,
      };
    }
  }
}
