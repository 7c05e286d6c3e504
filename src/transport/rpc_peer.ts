import { BangerError, reasonOf } from "../model/errors.ts";
import type { ByteLink } from "./byte_link.ts";
import { FrameReader, FrameTooLongError } from "./frame_reader.ts";
import { isDeeperThan } from "./json_depth.ts";
import { readMessage, type RpcError, type RpcId, type RpcMessage } from "./rpc_message.ts";
import { SendQueue } from "./send_queue.ts";
import { Serialised } from "./serialised.ts";
import { UpgradedLink } from "./upgraded_link.ts";

/** Notification with which a caller withdraws its request: `{ id }`. */
export const cancelMethod = "rpc.cancel";

/** A request of the other side while it is handled. */
export interface IncomingCall {
  /** Aborts when the caller withdraws the request, and when the connection ends. */
  readonly signal: AbortSignal;
  /**
   * Hands the connection to `serve` once the answer has been sent; nothing of JSON-RPC follows.
   * The connection is closed when `serve` ends. A failed request is not upgraded.
   */
  upgrade(serve: (link: ByteLink) => Promise<void>): void;
}

/** The other side answered a request with an error. */
export class RpcResponseError extends Error {
  override readonly name = "RpcResponseError";
  readonly error: RpcError;

  constructor(error: RpcError) {
    super(error.message);
    this.error = error;
  }
}

/** How a peer behaves. Limits are for what the other side sends. */
export interface RpcPeerOptions {
  readonly maxFrameBytes: number;
  /** Deepest nesting; `Infinity` only towards a peer that is trusted. */
  readonly maxDepth: number;
  /** Requests of the other side handled at once; further ones are refused. */
  readonly maxInFlight: number;
  /** Unsent bytes at which a side that does not read is given up. */
  readonly maxQueuedBytes: number;
  /**
   * Answers a request at once or by a promise, or throws. A {@linkcode Serialised} result is sent as
   * it is.
   */
  readonly onRequest: (method: string, params: unknown, call: IncomingCall) => unknown;
  readonly onNotification?: (method: string, params: unknown) => void;
  /** What a thrown thing is on the wire. */
  readonly encodeError: (error: unknown) => RpcError;
}

/** Limits towards clients, which are not trusted to behave. */
export const serverLimits = {
  maxFrameBytes: 1024 * 1024,
  maxDepth: 64,
  maxInFlight: 64,
  maxQueuedBytes: 64 * 1024 * 1024,
} as const;

/** Limits towards the daemon: its answers (consoles, long lists) are larger. */
export const clientLimits = {
  maxFrameBytes: 64 * 1024 * 1024,
  maxDepth: Infinity,
  maxInFlight: 0,
  maxQueuedBytes: 64 * 1024 * 1024,
} as const;

/** Bad frames after which the connection is closed. */
const maxBadFrames = 8;

interface Outgoing {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly upgrades: boolean;
}

/** A request that is not answered yet. */
class OpenCall implements IncomingCall {
  serve: ((link: ByteLink) => Promise<void>) | undefined;
  /** Made on demand: most calls are answered before anybody could listen. */
  #stop: AbortController | undefined;
  #ended: { readonly reason: unknown } | undefined;

  get signal(): AbortSignal {
    if (this.#stop === undefined) {
      this.#stop = new AbortController();
      if (this.#ended !== undefined) this.#stop.abort(this.#ended.reason);
    }
    return this.#stop.signal;
  }

  upgrade(serve: (link: ByteLink) => Promise<void>): void {
    this.serve = serve;
  }

  abort(reason: unknown): void {
    this.#ended ??= { reason };
    this.#stop?.abort(reason);
  }
}

/** One side of a JSON-RPC 2.0 connection, one message a line. Both sides may call. */
export class RpcPeer {
  /** Resolves when the connection has ended or was handed over. Never rejects. */
  readonly closed: Promise<void>;
  readonly #link: ByteLink;
  readonly #options: RpcPeerOptions;
  readonly #reader: FrameReader;
  readonly #queue: SendQueue;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  readonly #outgoing = new Map<RpcId, Outgoing>();
  readonly #incoming = new Map<RpcId, OpenCall>();
  readonly #unread = Promise.withResolvers<Uint8Array>();
  /** What the other side said about a frame of ours that it could not read. */
  #complaint: string | undefined;
  #nextId = 1;
  #badFrames = 0;
  #ended = false;
  #upgraded = false;

  constructor(link: ByteLink, options: RpcPeerOptions) {
    this.#link = link;
    this.#options = options;
    this.#reader = new FrameReader(options.maxFrameBytes);
    this.#queue = new SendQueue(link, () => this.close());
    this.closed = this.#readLoop();
  }

  /**
   * Calls `method` of the other side. When `signal` aborts, the request is withdrawn.
   *
   * @throws RpcResponseError when it answers with an error; BangerError `unavailable` when the
   * connection ends first; the reason of `signal`
   */
  request(method: string, params: unknown, signal?: AbortSignal): Promise<unknown> {
    return this.#request(method, params, signal, false);
  }

  /** Like {@linkcode request}, for a method that upgrades; nothing else may be under way. */
  async requestUpgrade(
    method: string,
    params: unknown,
    signal?: AbortSignal,
  ): Promise<{ readonly result: unknown; readonly link: ByteLink }> {
    const result = await this.#request(method, params, signal, true);
    return { result, link: new UpgradedLink(this.#link, this.#unread.promise) };
  }

  /** Sends a notification; it is lost when the connection has ended. */
  notify(method: string, params: unknown): void {
    this.#send({ jsonrpc: "2.0", method, params });
  }

  /** Ends the connection; everything under way fails. Idempotent. */
  close(): void {
    this.#end();
    this.#link.close();
  }

  #request(
    method: string,
    params: unknown,
    signal: AbortSignal | undefined,
    upgrades: boolean,
  ): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#ended || this.#upgraded) return Promise.reject(connectionEnded());
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#outgoing.delete(id);
        // An upgrade cannot be withdrawn by a message: it might arrive as raw bytes.
        if (upgrades) this.close();
        else this.notify(cancelMethod, { id });
        reject(signal?.reason);
      };
      const settled = () => signal?.removeEventListener("abort", onAbort);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#outgoing.set(id, {
        resolve: (result) => (settled(), resolve(result)),
        reject: (error) => (settled(), reject(error)),
        upgrades,
      });
      this.#send({ jsonrpc: "2.0", id, method, params });
    });
  }

  async #readLoop(): Promise<void> {
    try {
      while (!this.#upgraded) {
        const length = await this.#link.read(this.#reader.space);
        if (length === null) break;
        this.#reader.took(length);
        if (this.#upgraded || this.#consume() === "stop") break;
        // A caller that does not take its answers gets no further ones.
        if (this.#queue.queuedBytes > 1024 * 1024) await this.#queue.flushed();
      }
    } catch (error) {
      if (error instanceof FrameTooLongError) await this.#refuseAndFlush(error);
    }
    if (this.#upgraded) {
      this.#unread.resolve(this.#reader.takeRest());
      this.#end();
    } else {
      this.close();
    }
  }

  /** Handles every complete frame that has been read. */
  #consume(): "go on" | "stop" {
    for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) {
      if (frame.length > 0) this.#handle(this.#parse(frame));
      if (this.#upgraded || this.#ended) return "stop";
    }
    return "go on";
  }

  #parse(frame: Uint8Array): RpcMessage {
    if (this.#options.maxDepth !== Infinity && isDeeperThan(this.#options.maxDepth, frame)) {
      const message = `Invalid request: nested deeper than ${this.#options.maxDepth}`;
      return { type: "bad", id: null, error: { code: -32600, message } };
    }
    try {
      return readMessage(JSON.parse(this.#decoder.decode(frame)));
    } catch {
      return { type: "bad", id: null, error: { code: -32700, message: "Parse error" } };
    }
  }

  #handle(message: RpcMessage): void {
    switch (message.type) {
      case "request":
        return this.#startCall(message.id, message.method, message.params);
      case "notification":
        if (message.method === cancelMethod) return this.#withdraw(message.params);
        this.#options.onNotification?.(message.method, message.params);
        return;
      case "result": {
        const outgoing = this.#takeOutgoing(message.id);
        if (outgoing?.upgrades) this.#upgraded = true;
        outgoing?.resolve(message.result);
        return;
      }
      case "error":
        if (message.id === null) this.#complaint = message.error.message;
        else this.#takeOutgoing(message.id)?.reject(new RpcResponseError(message.error));
        return;
      case "bad":
        return this.#refuse(message.id, message.error);
    }
  }

  #refuse(id: RpcId | null, error: RpcError): void {
    this.#send({ jsonrpc: "2.0", id, error });
    if (++this.#badFrames >= maxBadFrames) {
      this.#end();
      this.#queue.flushed().then(() => this.#link.close());
    }
  }

  async #refuseAndFlush(error: FrameTooLongError): Promise<void> {
    this.#send({
      jsonrpc: "2.0",
      id: null,
      error: { code: -32600, message: `Invalid request: ${error.message}` },
    });
    await this.#queue.flushed();
  }

  #startCall(id: RpcId, method: string, params: unknown): void {
    if (this.#incoming.has(id)) {
      return this.#refuse(id, { code: -32600, message: "Invalid request: this id is in use" });
    }
    if (this.#incoming.size >= this.#options.maxInFlight) {
      const error = new BangerError("exhausted", `Cannot call "${method}": too many calls at once`);
      return this.#fail(id, error);
    }
    const call = new OpenCall();
    let answer: unknown;
    try {
      answer = this.#options.onRequest(method, params, call);
    } catch (error) {
      return this.#fail(id, error);
    }
    // Most answers are there at once: what only others need would double the time of those.
    if (!(answer instanceof Promise)) return this.#answer(id, answer, call);
    this.#incoming.set(id, call);
    answer.then(
      (result) => {
        this.#incoming.delete(id);
        this.#answer(id, result, call);
      },
      (error) => {
        this.#incoming.delete(id);
        this.#fail(id, error);
      },
    );
  }

  #answer(id: RpcId, result: unknown, { serve }: OpenCall): void {
    if (this.#ended) return;
    if (result instanceof Serialised) return this.#sendSerialised(id, result);
    const response = { jsonrpc: "2.0", id, result: result ?? {} };
    if (serve === undefined) this.#send(response);
    else this.#handOver(response, serve);
  }

  #fail(id: RpcId, error: unknown): void {
    this.#send({ jsonrpc: "2.0", id, error: this.#options.encodeError(error) });
  }

  #sendSerialised(id: RpcId, { bytes }: Serialised<unknown>): void {
    if (this.#ended || this.#upgraded) return;
    this.#queue.sendParts(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":`, bytes, "}");
    if (this.#queue.queuedBytes > this.#options.maxQueuedBytes) this.close();
  }

  async #handOver(response: object, serve: (link: ByteLink) => Promise<void>): Promise<void> {
    this.#send(response);
    // From here on the other side's bytes are not ours, also those of a read that is under way.
    this.#upgraded = true;
    await this.#queue.flushed();
    const link = new UpgradedLink(this.#link, this.#unread.promise);
    try {
      await serve(link);
    } catch {
      // The raw protocol has its own ways to tell; here only the end of the connection is left.
    } finally {
      link.close();
    }
  }

  #withdraw(params: unknown): void {
    const id = (params as { readonly id?: unknown }).id;
    if (typeof id !== "string" && typeof id !== "number") return;
    this.#incoming.get(id)?.abort(new BangerError("cancelled", "Stopped: cancelled"));
  }

  #takeOutgoing(id: RpcId): Outgoing | undefined {
    const outgoing = this.#outgoing.get(id);
    this.#outgoing.delete(id);
    return outgoing;
  }

  #send(message: object): void {
    if (this.#ended || this.#upgraded) return;
    try {
      this.#queue.send(message);
    } catch (error) {
      // A result that is no JSON (a cycle, a bigint): the caller gets an error instead.
      const id = (message as { readonly id?: RpcId }).id;
      if (id === undefined) return;
      const words = `Internal error: ${reasonOf(error)}`;
      this.#queue.send({ jsonrpc: "2.0", id, error: { code: -32603, message: words } });
    }
    if (this.#queue.queuedBytes > this.#options.maxQueuedBytes) this.close();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const outgoing of this.#outgoing.values()) {
      outgoing.reject(connectionEnded(this.#complaint));
    }
    this.#outgoing.clear();
    const gone = new BangerError("cancelled", "Stopped: the caller went away");
    for (const call of this.#incoming.values()) call.abort(gone);
    this.#incoming.clear();
  }
}

function connectionEnded(complaint?: string): BangerError {
  return complaint === undefined
    ? new BangerError("unavailable", "Cannot go on: the connection ended")
    : new BangerError("invalid", `Cannot go on: the other side refused: ${complaint}`);
}
