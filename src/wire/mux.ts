import {
  type Channel,
  encodeFrame,
  FrameDecoder,
  frameHeaderBytes,
  type FrameSink,
  frameTypes,
  maxDataBytes,
  readU32,
  writeHeader,
} from "./frame.ts";
import { decodeJson, encodeJson } from "./json.ts";
import { type ByteLink, LinkError } from "./link.ts";
import { MuxStream, type StreamCarrier } from "./mux_stream.ts";

/** Streams that may be open in one session, counted per opening side. */
export const maxStreams = 256;

/**
 * Bytes of one write to the link. A write to a virtio-serial port takes at most 32 KiB at once, and
 * frames that are not split there survive the death of the writing process whole.
 */
const batchBytes = 32 * 1024;

/** Control frames that may wait for a peer that does not read. */
const maxQueuedBytes = 1024 * 1024;

/** How a {@linkcode Mux} is made. */
export interface MuxOptions {
  /** The side that started the session numbers its streams oddly, the other evenly. */
  readonly side: "starter" | "acceptor";
  /** Called for each stream that the peer opens; left out, they are refused. */
  readonly onStream?: (stream: MuxStream) => void;
}

/**
 * Many streams over one {@linkcode ByteLink}, with credit for each stream, channel and direction:
 * a stream that nobody reads never stalls another. Both ends are alike and both can open streams.
 * A peer that breaks a rule ends the session with a `protocol` error; memory is bounded whatever
 * the peer sends. Does not read the link itself: see {@linkcode readLink} and `handshake.ts`.
 */
export class Mux implements FrameSink {
  /** Settles with the reason when the session is over; never rejects. */
  readonly closed: Promise<LinkError>;
  readonly #link: ByteLink;
  readonly #onStream: ((stream: MuxStream) => void) | undefined;
  readonly #streams = new Map<number, MuxStream>();
  readonly #batch = new Uint8Array(batchBytes);
  #nextId: number;
  #lastPeerId: number;
  #round: { readonly stream: MuxStream; readonly channel: Channel }[] = [];
  #control: Uint8Array[] = [];
  #controlBytes = 0;
  #pumping = false;
  #error: LinkError | null = null;
  #setClosed: (error: LinkError) => void = () => {};
  readonly #carrier: StreamCarrier = {
    send: (type, stream, payload) => this.#send(type, stream, payload),
    ready: (stream, channel) => this.#ready(stream, channel),
    forget: (stream) => this.#streams.delete(stream.id),
  };

  constructor(link: ByteLink, options: MuxOptions) {
    this.#link = link;
    this.#onStream = options.onStream;
    this.#nextId = options.side === "starter" ? 1 : 2;
    this.#lastPeerId = options.side === "starter" ? 0 : -1;
    this.closed = new Promise((resolve) => this.#setClosed = resolve);
  }

  /** Streams that are open now, of both sides. */
  get streamCount(): number {
    return this.#streams.size;
  }

  /**
   * Opens a stream for `request`, a JSON value.
   *
   * @throws LinkError `ended` when the session is over, `limit` when too many streams are open
   */
  open(request: unknown): MuxStream {
    if (this.#error !== null) throw this.#error;
    if (this.#count(this.#nextId) >= maxStreams) {
      throw new LinkError("limit", `${maxStreams} streams are open already`);
    }
    const payload = encodeJson(request);
    const stream = new MuxStream(this.#carrier, this.#nextId, request);
    this.#nextId += 2;
    this.#streams.set(stream.id, stream);
    this.#send(frameTypes.open, stream.id, payload);
    return stream;
  }

  /** Queues a frame of stream 0 (`hello`, `welcome`, `reset`). */
  sendSession(type: number, payload: Uint8Array): void {
    this.#send(type, 0, payload);
  }

  /**
   * Ends the session: every stream is reset; with `tell` the peer gets the reason as far as the
   * link still takes it. Does not close the link. Idempotent.
   */
  end(error: LinkError, tell = false): void {
    if (this.#error !== null) return;
    this.#control = [];
    this.#controlBytes = 0;
    this.#round = [];
    if (tell) this.#send(frameTypes.reset, 0, new TextEncoder().encode(error.message));
    this.#error = error;
    for (const stream of [...this.#streams.values()]) {
      stream.receiveEnd({ how: "reset", reason: error.message });
    }
    this.#setClosed(error);
  }

  /** Bytes of a stream came. @throws LinkError `protocol` */
  onData(id: number, channel: Channel, bytes: Uint8Array): void {
    this.#find(id)?.receive(channel, bytes);
  }

  /** A frame came. @throws LinkError `protocol` */
  onFrame(type: number, id: number, payload: Uint8Array): void {
    if (this.#error !== null) return;
    if (id === 0) {
      if (type !== frameTypes.reset) {
        throw new LinkError("protocol", `frame type ${type} on stream 0`);
      }
      this.end(new LinkError("ended", `the peer ended the session: ${text(payload)}`));
      return;
    }
    if (type === frameTypes.open) {
      this.#accept(id, payload);
      return;
    }
    const stream = this.#find(id);
    if (stream === undefined) return;
    switch (type) {
      case frameTypes.credit:
        expectLength(payload, 5);
        stream.receiveCredit(channelOf(payload), readU32(payload, 1));
        return;
      case frameTypes.eof:
        expectLength(payload, 1);
        stream.receiveEof(channelOf(payload));
        return;
      case frameTypes.control:
        stream.onControl(decodeJson(payload));
        return;
      case frameTypes.close:
        if (this.#isPeers(id)) throw new LinkError("protocol", "CLOSE from the opening side");
        stream.receiveEnd({ how: "closed", reply: decodeJson(payload) });
        return;
      case frameTypes.reset:
        stream.receiveEnd({ how: "reset", reason: text(payload) });
        return;
      default:
        throw new LinkError("protocol", `frame type ${type} on a stream`);
    }
  }

  #accept(id: number, payload: Uint8Array): void {
    if (!this.#isPeers(id) || id <= this.#lastPeerId) {
      throw new LinkError("protocol", `stream ${id} cannot be opened`);
    }
    this.#lastPeerId = id;
    const stream = new MuxStream(this.#carrier, id, decodeJson(payload));
    if (this.#onStream === undefined || this.#count(id) >= maxStreams) {
      stream.reset(this.#onStream === undefined ? "no streams are accepted" : "too many streams");
      return;
    }
    this.#streams.set(id, stream);
    this.#onStream(stream);
  }

  /** An open stream, `undefined` for one that has ended. @throws LinkError for one never opened */
  #find(id: number): MuxStream | undefined {
    const last = this.#isPeers(id) ? this.#lastPeerId : this.#nextId - 2;
    if (id === 0 || id > last) throw new LinkError("protocol", `stream ${id} was never opened`);
    return this.#streams.get(id);
  }

  #isPeers(id: number): boolean {
    return id % 2 !== this.#nextId % 2;
  }

  #count(like: number): number {
    let count = 0;
    for (const id of this.#streams.keys()) if (id % 2 === like % 2) count++;
    return count;
  }

  #send(type: number, stream: number, payload: Uint8Array): void {
    if (this.#error !== null) return;
    this.#control.push(encodeFrame(type, stream, payload));
    this.#controlBytes += frameHeaderBytes + payload.length;
    if (this.#controlBytes > maxQueuedBytes) {
      this.end(new LinkError("protocol", "the peer does not read"));
      return;
    }
    this.#wake();
  }

  #ready(stream: MuxStream, channel: Channel): void {
    if (stream.enqueue(channel)) this.#round.push({ stream, channel });
    this.#wake();
  }

  #wake(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    // One turn later, so that frames made in the same turn share a write.
    queueMicrotask(() => this.#pump());
  }

  async #pump(): Promise<void> {
    try {
      for (;;) {
        const bytes = this.#nextBatch();
        if (bytes === null) break;
        await this.#link.write(bytes);
      }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.end(new LinkError("ended", `the link cannot be written: ${why}`));
    } finally {
      this.#pumping = false;
    }
  }

  /** Control frames first, then a frame of each ready channel in turn until the batch is full. */
  #nextBatch(): Uint8Array | null {
    const batch = this.#batch;
    let fill = 0;
    while (this.#control.length > 0) {
      const frame = this.#control[0]!;
      if (fill + frame.length > batchBytes) {
        if (fill > 0) return batch.subarray(0, fill);
        this.#dropControl(frame);
        return frame;
      }
      batch.set(frame, fill);
      fill += frame.length;
      this.#dropControl(frame);
    }
    while (this.#round.length > 0) {
      const room = batchBytes - fill - frameHeaderBytes;
      if (room < Math.min(1024, maxDataBytes)) break;
      const { stream, channel } = this.#round.shift()!;
      const bytes = stream.dequeue(channel, Math.min(room, maxDataBytes));
      if (bytes === null || bytes.length === 0) continue;
      const type = channel === 0 ? frameTypes.data : frameTypes.stderrData;
      writeHeader(batch, fill, type, stream.id, bytes.length);
      batch.set(bytes, fill + frameHeaderBytes);
      fill += frameHeaderBytes + bytes.length;
      stream.sent(channel, bytes.length);
    }
    return fill === 0 ? null : batch.subarray(0, fill);
  }

  #dropControl(frame: Uint8Array): void {
    this.#control.shift();
    this.#controlBytes -= frame.length;
  }
}

/**
 * Reads `link` into `sink` until it ends (then it returns) or a frame breaks a rule.
 *
 * @throws LinkError `protocol`; whatever the link's `read` throws
 */
export async function readLink(
  link: ByteLink,
  decoder: FrameDecoder,
  sink: FrameSink,
): Promise<void> {
  // Most links rest. One that has filled this once gets more.
  let buffer = new Uint8Array(4 * 1024);
  const busyBytes = 64 * 1024;
  for (;;) {
    const count = await link.read(buffer);
    if (count === null) return;
    decoder.push(buffer.subarray(0, count), sink);
    if (count === buffer.length && count < busyBytes) buffer = new Uint8Array(busyBytes);
  }
}

/**
 * Runs `mux` over a link that needs no handshake (one that is authenticated already and holds no
 * stale bytes) until either ends. Never rejects; closes the link.
 */
export async function runMux(link: ByteLink, mux: Mux): Promise<LinkError> {
  const over = mux.closed.then(() => link.close());
  try {
    await readLink(link, new FrameDecoder(), mux);
    mux.end(new LinkError("ended", "the link ended"));
  } catch (error) {
    mux.end(asLinkError(error));
  }
  await over;
  return await mux.closed;
}

/** `error` itself, or one of reason `ended` that tells it. */
export function asLinkError(error: unknown): LinkError {
  if (error instanceof LinkError) return error;
  return new LinkError("ended", error instanceof Error ? error.message : String(error));
}

function channelOf(payload: Uint8Array): Channel {
  const channel = payload[0];
  if (channel !== 0 && channel !== 1) throw new LinkError("protocol", "unknown channel");
  return channel;
}

function expectLength(payload: Uint8Array, length: number): void {
  if (payload.length !== length) throw new LinkError("protocol", "frame of a wrong length");
}

function text(payload: Uint8Array): string {
  return new TextDecoder().decode(payload.subarray(0, 1024));
}
