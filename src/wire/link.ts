/**
 * A two-way byte stream that carries one session at a time: a virtio-serial port, an upgraded Unix
 * socket connection, or two pipes in memory.
 */
export interface ByteLink {
  /** Reads at least one byte into `buffer` and says how many; `null` when the peer has ended. */
  read(buffer: Uint8Array): Promise<number | null>;
  /**
   * Writes all of `bytes`, which are not changed until the promise settles. Calls that overlap are
   * written whole, one after the other.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends both directions; pending reads and writes settle. Idempotent, never throws. */
  close(): void;
}

/** Why a link, a session or a stream failed. */
export type LinkErrorReason =
  /** The peer broke a rule of the protocol; the session is over. */
  | "protocol"
  /** The link ended, or this side ended the session. */
  | "ended"
  /** The peer, or this side, aborted one stream. */
  | "reset"
  /** The stream was answered already. */
  | "closed"
  /** Too many streams are open. */
  | "limit";

/** A failure of the link, told apart by its {@linkcode LinkErrorReason}. */
export class LinkError extends Error {
  override readonly name = "LinkError";
  readonly reason: LinkErrorReason;

  constructor(reason: LinkErrorReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
