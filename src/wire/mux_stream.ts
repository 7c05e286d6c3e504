import { type Channel, frameTypes, writeU32 } from "./frame.ts";
import { Inbox } from "./inbox.ts";
import { encodeJson } from "./json.ts";
import { LinkError } from "./link.ts";

/** Bytes that may be under way on one channel of a stream, in each direction. */
export const windowBytes = 256 * 1024;

/** How a stream ended. */
export type StreamEnd =
  /** The accepting side answered; `reply` is its JSON, its shape still to be checked. */
  | { readonly how: "closed"; readonly reply: unknown }
  /** One side aborted it, or the session ended. */
  | { readonly how: "reset"; readonly reason: string };

/** What a stream needs of its multiplexer. */
export interface StreamCarrier {
  /** Queues a control frame. */
  send(type: number, stream: number, payload: Uint8Array): void;
  /** Says that `stream` has data to send on `channel` and credit for it. */
  ready(stream: MuxStream, channel: Channel): void;
  /** Drops the stream: later frames for it are ignored. */
  forget(stream: MuxStream): void;
}

interface Outlet {
  credit: number;
  bytes: Uint8Array | null;
  ending: boolean;
  /** Set while the multiplexer has this channel in its round. */
  queued: boolean;
  resolve(): void;
  reject(error: unknown): void;
}

const noop = () => {};

function newOutlet(): Outlet {
  return {
    credit: windowBytes,
    bytes: null,
    ending: false,
    queued: false,
    resolve: noop,
    reject: noop,
  };
}

/**
 * One request with its bytes, both ways, on two channels. States: open → closed (answered) or
 * reset. Made by {@linkcode Mux.open} or handed to its `onStream`.
 */
export class MuxStream {
  readonly id: number;
  /** The JSON of the OPEN frame; its shape is for the accepting side to check. */
  readonly request: unknown;
  /** Settles once, never rejects. */
  readonly ended: Promise<StreamEnd>;
  /** Called for each control message; set it in the turn in which the stream is got. */
  onControl: (message: unknown) => void = noop;
  readonly #carrier: StreamCarrier;
  readonly #inboxes: readonly [Inbox, Inbox] = [new Inbox(windowBytes), new Inbox(windowBytes)];
  readonly #outlets: readonly [Outlet, Outlet] = [newOutlet(), newOutlet()];
  #end: StreamEnd | null = null;
  #setEnded: (end: StreamEnd) => void = noop;

  constructor(carrier: StreamCarrier, id: number, request: unknown) {
    this.#carrier = carrier;
    this.id = id;
    this.request = request;
    this.ended = new Promise((resolve) => this.#setEnded = resolve);
  }

  /** Whether it is answered or aborted. */
  get isEnded(): boolean {
    return this.#end !== null;
  }

  /**
   * The next bytes of `channel`, `null` at its end. Bytes that came before the reply stay readable.
   * One call a channel at a time.
   *
   * @throws LinkError `reset`
   */
  async read(channel: Channel = 0): Promise<Uint8Array | null> {
    const inbox = this.#inboxes[channel];
    const bytes = await inbox.take();
    if (inbox.consumed >= windowBytes / 2 && !inbox.ended && this.#end === null) {
      const payload = new Uint8Array(5);
      payload[0] = channel;
      writeU32(payload, 1, inbox.consumed);
      inbox.allowance += inbox.consumed;
      inbox.consumed = 0;
      this.#carrier.send(frameTypes.credit, this.id, payload);
    }
    return bytes;
  }

  /**
   * Sends all of `bytes`; settles when they are handed to the link, so that a slow peer slows the
   * caller. One call a channel at a time; `bytes` must not change until it settles.
   *
   * @throws LinkError `closed` when the stream was answered, `reset` when it was aborted
   */
  write(bytes: Uint8Array, channel: Channel = 0): Promise<void> {
    if (this.#end !== null) return Promise.reject(endError(this.#end));
    if (bytes.length === 0) return Promise.resolve();
    const outlet = this.#outlets[channel];
    if (outlet.bytes !== null || outlet.ending) {
      return Promise.reject(new LinkError("closed", "a write is pending or the channel has ended"));
    }
    return new Promise((resolve, reject) => {
      outlet.bytes = bytes;
      outlet.resolve = resolve;
      outlet.reject = reject;
      if (outlet.credit > 0) this.#carrier.ready(this, channel);
    });
  }

  /** Says that nothing more comes on `channel`, after what is being written. Idempotent. */
  end(channel: Channel = 0): void {
    const outlet = this.#outlets[channel];
    if (outlet.ending || this.#end !== null) return;
    outlet.ending = true;
    if (outlet.bytes === null) this.#sendEof(channel);
  }

  /** Sends a control message; does nothing when the stream has ended. */
  control(message: unknown): void {
    if (this.#end !== null) return;
    this.#carrier.send(frameTypes.control, this.id, encodeJson(message));
  }

  /**
   * Answers the request and ends the stream. Only for the accepting side, when its writes have
   * settled; what is still being written is dropped.
   */
  close(reply: unknown): void {
    if (this.#end !== null) return;
    this.#carrier.send(frameTypes.close, this.id, encodeJson(reply));
    this.#finish({ how: "closed", reply });
  }

  /** Aborts the stream on both sides. Idempotent. */
  reset(reason: string): void {
    if (this.#end !== null) return;
    this.#carrier.send(frameTypes.reset, this.id, new TextEncoder().encode(reason.slice(0, 200)));
    this.#finish({ how: "reset", reason });
  }

  /** For the multiplexer: bytes came. @throws LinkError `protocol` */
  receive(channel: Channel, bytes: Uint8Array): void {
    const inbox = this.#inboxes[channel];
    if (inbox.ended) throw new LinkError("protocol", "data after the end of a channel");
    if (bytes.length > inbox.allowance) throw new LinkError("protocol", "credit overrun");
    inbox.put(bytes);
  }

  /** For the multiplexer: the peer's channel ended. */
  receiveEof(channel: Channel): void {
    this.#inboxes[channel].end();
  }

  /** For the multiplexer: the peer may send more. @throws LinkError `protocol` */
  receiveCredit(channel: Channel, bytes: number): void {
    const outlet = this.#outlets[channel];
    outlet.credit += bytes;
    if (outlet.credit > windowBytes) throw new LinkError("protocol", "more credit than the window");
    if (outlet.bytes !== null && outlet.credit > 0) this.#carrier.ready(this, channel);
  }

  /** For the multiplexer: the peer's last frame, or the end of the session. */
  receiveEnd(end: StreamEnd): void {
    this.#finish(end);
  }

  /** For the multiplexer: whether this channel joins the round (it is not in it already). */
  enqueue(channel: Channel): boolean {
    const outlet = this.#outlets[channel];
    if (outlet.queued) return false;
    outlet.queued = true;
    return true;
  }

  /** For the multiplexer: takes up to `limit` bytes to send now and leaves the round. */
  dequeue(channel: Channel, limit: number): Uint8Array | null {
    const outlet = this.#outlets[channel];
    outlet.queued = false;
    if (outlet.bytes === null || this.#end !== null) return null;
    return outlet.bytes.subarray(0, Math.min(limit, outlet.credit));
  }

  /** For the multiplexer: `count` bytes that {@linkcode dequeue} gave are copied out. */
  sent(channel: Channel, count: number): void {
    const outlet = this.#outlets[channel];
    const bytes = outlet.bytes;
    if (bytes === null) return;
    outlet.credit -= count;
    if (count < bytes.length) {
      outlet.bytes = bytes.subarray(count);
      if (outlet.credit > 0) this.#carrier.ready(this, channel);
      return;
    }
    outlet.bytes = null;
    if (outlet.ending) this.#sendEof(channel);
    outlet.resolve();
  }

  #sendEof(channel: Channel): void {
    this.#carrier.send(frameTypes.eof, this.id, Uint8Array.of(channel));
  }

  #finish(end: StreamEnd): void {
    if (this.#end !== null) return;
    this.#end = end;
    this.#carrier.forget(this);
    for (const inbox of this.#inboxes) {
      if (end.how === "closed") inbox.end();
      else inbox.fail(endError(end));
    }
    for (const outlet of this.#outlets) {
      if (outlet.bytes === null) continue;
      outlet.bytes = null;
      outlet.reject(endError(end));
    }
    this.#setEnded(end);
  }
}

function endError(end: StreamEnd): LinkError {
  return end.how === "closed"
    ? new LinkError("closed", "the stream was answered already")
    : new LinkError("reset", `the stream was aborted: ${end.reason}`);
}
