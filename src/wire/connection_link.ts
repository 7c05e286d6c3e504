import type { ByteLink } from "./link.ts";

/** A link over a TCP, vsock or Unix connection, such as the one to QEMU's serial socket. */
export function connectionLink(connection: Deno.Conn): ByteLink {
  let queue: Promise<void> = Promise.resolve();
  return {
    read: (buffer) => connection.read(buffer),
    write: (bytes) => {
      const turn = queue.then(() => writeAll(connection, bytes));
      queue = turn.catch(() => {});
      return turn;
    },
    close: () => {
      try {
        connection.close();
      } catch {
        // It was closed before.
      }
    },
  };
}

/** Writes all of `bytes`. */
export async function writeAll(
  writer: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await writer.write(bytes.subarray(at));
}
