import type { ByteLink } from "../transport/byte_link.ts";
import { type IncomingCall, RpcPeer, serverLimits } from "../transport/rpc_peer.ts";
import type { ServerConnection } from "../transport/unix_server.ts";
import type { JsonRpcError } from "../api/codec.ts";
import type { CallContext, CloseReason, Connection } from "./call_context.ts";

/** How a connection's calls are answered. */
export interface ClientConnectionOptions {
  readonly id: number;
  readonly dispatch: (method: string, params: unknown, context: CallContext) => unknown;
  readonly encodeError: (error: unknown) => JsonRpcError;
  /** Whether the daemon is ending: then the connection did not go away by itself. */
  readonly isEnding: () => boolean;
}

/** Serves JSON-RPC on one connection of a client until it ends. */
export class ClientConnection implements Connection {
  readonly id: number;
  readonly #listeners = new Set<(reason: CloseReason) => void>();
  readonly #isEnding: () => boolean;
  #closed = false;

  constructor(connection: ServerConnection, options: ClientConnectionOptions) {
    this.id = options.id;
    this.#isEnding = options.isEnding;
    const peer: RpcPeer = new RpcPeer(connection.link, {
      ...serverLimits,
      encodeError: options.encodeError,
      onRequest: (method, params, call) =>
        options.dispatch(method, params, new PeerCall(this, peer, call)),
    });
    connection.closed.then(() => this.#close());
  }

  onClose(listener: (reason: CloseReason) => void): () => void {
    if (this.#closed) {
      queueMicrotask(() => listener(this.#reason()));
      return () => {};
    }
    const own = (reason: CloseReason) => listener(reason);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  #close(): void {
    this.#closed = true;
    const reason = this.#reason();
    for (const listener of this.#listeners) listener(reason);
    this.#listeners.clear();
  }

  #reason(): CloseReason {
    return this.#isEnding() ? "shutdown" : "gone";
  }
}

/** A call of a peer as handlers see it. */
class PeerCall implements CallContext {
  readonly connection: Connection;
  readonly #peer: RpcPeer;
  readonly #call: IncomingCall;

  constructor(connection: Connection, peer: RpcPeer, call: IncomingCall) {
    this.connection = connection;
    this.#peer = peer;
    this.#call = call;
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }

  notify(method: string, params: unknown): void {
    this.#peer.notify(method, params);
  }

  upgrade(serve: (link: ByteLink) => Promise<void>): void {
    this.#call.upgrade(serve);
  }
}
