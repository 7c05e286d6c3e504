/**
 * Byte connections between processes of this host, and JSON-RPC 2.0 over them.
 *
 * Owns: the Unix socket server and client, framing, requests, cancellation, and the hand-over of a
 * connection to raw bytes. Knows no method and no error kind. Must not import anything but `model`.
 */

/** A two-way byte stream. The same shape as `wire`'s ByteLink, which this folder may not import. */
export interface ByteLink {
  /** Reads at least one byte into `buffer` and says how many; `null` when the peer has ended. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes all of `bytes`, which are not changed until the promise settles. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends both directions; pending reads and writes settle. Idempotent, never throws. */
  close(): void;
}
