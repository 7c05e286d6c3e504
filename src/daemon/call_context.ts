import type { ByteLink } from "../transport/byte_link.ts";

/** Why a connection is over: its client went away, or the daemon ends (VMs and leases stay). */
export type CloseReason = "gone" | "shutdown";

/** The connection that a call came on. */
export interface Connection {
  /** Unique in the life of this daemon. */
  readonly id: number;
  /**
   * Calls `listener` once when the connection is over (soon, when it is already), also after an
   * upgrade. Answers how to take it back. The listener must not throw.
   */
  onClose(listener: (reason: CloseReason) => void): () => void;
}

/** What a handler knows of its call. */
export interface CallContext {
  /** Aborts when the client withdraws the call and, until it is answered, when it goes away. */
  readonly signal: AbortSignal;
  readonly connection: Connection;
  /** Sends a notification to the client of this call; lost when it has gone. */
  notify(method: string, params: unknown): void;
  /**
   * Hands the raw connection to `serve` once the answer has been sent; it is closed when `serve`
   * ends. A handler that throws is not upgraded.
   */
  upgrade(serve: (link: ByteLink) => Promise<void>): void;
}
