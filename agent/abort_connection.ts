import { tcpSockets } from "./listeners.ts";

const symbols = {
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
} as const;

/** A `struct sockaddr` whose family is AF_UNSPEC. */
const nowhere = new Uint8Array(16);

/**
 * Closes a connection so that its peer sees a reset and not an end: it must not take a part for the whole. Deno has
 * no call for it, and shuts down before it closes, so that SO_LINGER comes too late; connecting to nowhere
 * (connect(2), AF_UNSPEC) resets at once. Nor does Deno tell the descriptor, which is found by the connection's
 * ports. Where all this does not work the peer sees an end.
 */
export function abortConnection(root: string, conn: Deno.TcpConn): void {
  try {
    const fd = descriptorOf(root, conn);
    if (fd !== undefined) {
      const libc = Deno.dlopen("libc.so.6", symbols);
      libc.symbols.connect(fd, nowhere, nowhere.length);
      libc.close();
    }
  } catch {
    // Another C library.
  }
  conn.close();
}

function descriptorOf(root: string, conn: Deno.TcpConn): number | undefined {
  const [own, peer] = [conn.localAddr.port, conn.remoteAddr.port];
  let inode: string | undefined;
  for (const socket of tcpSockets(root)) {
    if (socket.localPort === own && socket.remotePort === peer) inode = socket.inode;
  }
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    if (linkOf(name) === `socket:[${inode}]`) return Number(name);
  }
  return undefined;
}

function linkOf(fd: string): string | undefined {
  try {
    return Deno.readLinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
