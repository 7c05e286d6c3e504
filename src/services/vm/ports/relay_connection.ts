import { checkReply } from "../../../guest/agent_reply.ts";
import type { MuxStream, StreamEnd } from "../../../wire/mux_stream.ts";
import type { Channel } from "../../../wire/frame.ts";
import type { Lanes } from "../lanes/lanes.ts";
import { type RelayedStream, relayExec } from "../lanes/relay_exec.ts";

/** A connection of the host, as far as it is relayed; see `LoopbackConnection`. */
export interface HostConnection {
  readonly closed: Promise<void>;
  read(): Promise<Uint8Array | null>;
  write(bytes: Uint8Array): Promise<void>;
  end(): void;
  abort(): void;
}

/**
 * Joins a connection of the host to the stream of a `forward` request: bytes and ends pass through unchanged in
 * both directions, each with the flow control of both sides, and much moves to lanes. A side that breaks resets
 * the other, so that neither takes a part for the whole. Settles when the connection is closed; never rejects.
 */
export async function relayConnection(
  connection: HostConnection,
  opened: MuxStream,
  lanes: Pick<Lanes, "lease">,
): Promise<void> {
  await relayExec(new ConnectionStream(connection), opened, lanes);
  await connection.closed;
}

/** A connection in the place of a client's stream: channel 0 is its bytes, both ways. */
class ConnectionStream implements RelayedStream {
  /** Nothing but the bytes comes from a connection. */
  onControl = () => {};
  readonly ended: Promise<StreamEnd>;
  readonly #connection: HostConnection;
  readonly #end = Promise.withResolvers<StreamEnd>();

  constructor(connection: HostConnection) {
    this.#connection = connection;
    this.ended = this.#end.promise;
    void connection.closed.then(() => this.#gone());
  }

  async read(): Promise<Uint8Array | null> {
    try {
      return await this.#connection.read();
    } catch (error) {
      this.#gone();
      throw error;
    }
  }

  async write(bytes: Uint8Array, channel: Channel): Promise<void> {
    if (channel !== 0) return;
    try {
      await this.#connection.write(bytes);
    } catch (error) {
      this.#gone();
      throw error;
    }
  }

  end(channel: Channel): void {
    if (channel === 0) this.#connection.end();
  }

  control(): void {
    // A connection has no place for it.
  }

  /** All that came has been written: when both directions have ended, the connection has, too. */
  close(reply: unknown): void {
    if (!isWhole(reply)) this.#connection.abort();
    this.#end.resolve({ how: "closed", reply });
  }

  reset(reason: string): void {
    this.#connection.abort();
    this.#end.resolve({ how: "reset", reason });
  }

  #gone(): void {
    this.#end.resolve({ how: "reset", reason: "the client has gone" });
  }
}

function isWhole(reply: unknown): boolean {
  try {
    checkReply("forward", reply);
    return true;
  } catch {
    // The guest's refusal (nothing listens there), a connection that broke, or nonsense.
    return false;
  }
}
