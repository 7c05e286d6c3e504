import { LinkError } from "./link.ts";
import { maxControlBytes } from "./messages.ts";

/**
 * Frame types. A frame is `[type u8][stream u32][length u32][payload]`, big-endian, except `pad`,
 * which is a single zero byte. Stream 0 is the session itself.
 */
export const frameTypes = {
  /** One zero byte, skipped: completes a frame that an earlier session left half sent. */
  pad: 0,
  /** JSON request; makes the stream. */
  open: 1,
  /** Bytes of channel 0. */
  data: 2,
  /** Bytes of channel 1. */
  stderrData: 3,
  /** `[channel u8][bytes u32]`: the peer may send so many bytes more on that channel. */
  credit: 4,
  /** `[channel u8]`: no more bytes on that channel. */
  eof: 5,
  /** JSON message on an open stream. */
  control: 6,
  /** JSON reply; the last frame of a stream, from the side that accepted it. */
  close: 7,
  /** UTF-8 reason; aborts the stream, or on stream 0 the session. */
  reset: 8,
  /** JSON `Hello` on stream 0. */
  hello: 9,
  /** JSON `Welcome` on stream 0. */
  welcome: 10,
} as const;

/** Bytes before a frame's payload. */
export const frameHeaderBytes = 9;

/** Longest payload of a data frame, in bytes. */
export const maxDataBytes = 32 * 1024;

/** So many PAD bytes complete every frame that can be half sent. */
export const maxFrameBytes = frameHeaderBytes + maxControlBytes;

/** Which of a stream's two byte channels: 0 is stdin or stdout, 1 is stderr. */
export type Channel = 0 | 1;

/** Where a {@linkcode FrameDecoder} puts what it found; byte views are valid only during the call. */
export interface FrameSink {
  /** A piece, at least one byte, of a data frame's payload. */
  onData(stream: number, channel: Channel, bytes: Uint8Array): void;
  /** Any other frame, whole. */
  onFrame(type: number, stream: number, payload: Uint8Array): void;
}

/** Writes a frame's header at `at` in `target`. */
export function writeHeader(
  target: Uint8Array,
  at: number,
  type: number,
  stream: number,
  length: number,
): void {
  target[at] = type;
  writeU32(target, at + 1, stream);
  writeU32(target, at + 5, length);
}

/** A whole frame with its payload. */
export function encodeFrame(type: number, stream: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(frameHeaderBytes + payload.length);
  writeHeader(frame, 0, type, stream, payload.length);
  frame.set(payload, frameHeaderBytes);
  return frame;
}

/** Writes `value` big-endian. */
export function writeU32(target: Uint8Array, at: number, value: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}

/** Reads a big-endian number. */
export function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>>
    0;
}

/**
 * Cuts a byte stream into frames, however it is split. Keeps at most one control frame (64 KiB);
 * payloads of data frames pass through in pieces. While hunting it throws everything away until a
 * frame of one type whose payload starts with a given text, so that stale bytes of an earlier
 * session do no harm.
 */
export class FrameDecoder {
  #header = new Uint8Array(frameHeaderBytes);
  #headerFill = 0;
  #type = 0;
  #stream = 0;
  #left = 0;
  #control: Uint8Array | null = null;
  #controlFill = 0;
  #hunt: { readonly type: number; readonly prefix: Uint8Array } | null = null;
  #tail = new Uint8Array(0);
  #rest = new Uint8Array(0);

  /** Throws away what comes until a frame of `type` on stream 0 that starts with `prefix`. */
  hunt(type: number, prefix: string): void {
    this.#hunt = { type, prefix: new TextEncoder().encode(prefix) };
    this.#tail = new Uint8Array(0);
    this.#headerFill = 0;
    this.#left = 0;
    this.#control = null;
  }

  /** What of the last {@linkcode push} was not looked at because the sink or a bad frame threw. */
  get rest(): Uint8Array {
    return this.#rest;
  }

  /**
   * Takes the next bytes and calls `sink` for what they complete.
   *
   * @throws LinkError `protocol` for a frame that breaks a rule; whatever `sink` throws
   */
  push(bytes: Uint8Array, sink: FrameSink): void {
    if (this.#hunt !== null) {
      const found = this.#seek(bytes, this.#hunt.type, this.#hunt.prefix);
      if (found === null) return;
      this.#hunt = null;
      bytes = found;
    }
    let at = 0;
    try {
      while (at < bytes.length) at = this.#step(bytes, at, sink);
    } catch (error) {
      // At least one byte is given up, so that a caller that hunts in the rest comes to an end.
      this.#rest = bytes.slice(this.#stoppedAt);
      throw error;
    }
  }

  #stoppedAt = 0;

  #step(bytes: Uint8Array, at: number, sink: FrameSink): number {
    if (this.#left > 0) return this.#payload(bytes, at, sink);
    if (this.#headerFill === 0 && bytes[at] === frameTypes.pad) return at + 1;
    const take = Math.min(frameHeaderBytes - this.#headerFill, bytes.length - at);
    this.#header.set(bytes.subarray(at, at + take), this.#headerFill);
    this.#headerFill += take;
    at += take;
    if (this.#headerFill < frameHeaderBytes) return at;
    this.#headerFill = 0;
    this.#stoppedAt = at;
    this.#startFrame(sink);
    return at;
  }

  #startFrame(sink: FrameSink): void {
    const type = this.#header[0]!;
    const length = readU32(this.#header, 5);
    const isData = type === frameTypes.data || type === frameTypes.stderrData;
    if (type > frameTypes.welcome) throw new LinkError("protocol", `unknown frame type ${type}`);
    const limit = isData ? maxDataBytes : maxControlBytes;
    if (length > limit) {
      throw new LinkError("protocol", `frame of ${length} bytes, at most ${limit} are allowed`);
    }
    this.#type = type;
    this.#stream = readU32(this.#header, 1);
    this.#left = length;
    if (isData) return;
    if (length === 0) {
      sink.onFrame(type, this.#stream, new Uint8Array(0));
      return;
    }
    this.#control = new Uint8Array(length);
    this.#controlFill = 0;
  }

  #payload(bytes: Uint8Array, at: number, sink: FrameSink): number {
    const end = Math.min(bytes.length, at + this.#left);
    const piece = bytes.subarray(at, end);
    this.#left -= piece.length;
    this.#stoppedAt = end;
    const control = this.#control;
    if (control === null) {
      sink.onData(this.#stream, this.#type === frameTypes.data ? 0 : 1, piece);
      return end;
    }
    control.set(piece, this.#controlFill);
    this.#controlFill += piece.length;
    if (this.#left === 0) {
      this.#control = null;
      sink.onFrame(this.#type, this.#stream, control);
    }
    return end;
  }

  /** The bytes from the wanted frame on, or `null` when it has not come yet. */
  #seek(bytes: Uint8Array, type: number, prefix: Uint8Array): Uint8Array | null {
    const all = new Uint8Array(this.#tail.length + bytes.length);
    all.set(this.#tail);
    all.set(bytes, this.#tail.length);
    let from = all.indexOf(prefix[0]!, frameHeaderBytes);
    while (from !== -1 && from + prefix.length <= all.length) {
      if (startsAt(all, from, prefix) && isHeader(all, from - frameHeaderBytes, type, prefix)) {
        return all.subarray(from - frameHeaderBytes);
      }
      from = all.indexOf(prefix[0]!, from + 1);
    }
    this.#tail = all.slice(Math.max(0, all.length - frameHeaderBytes - prefix.length + 1));
    return null;
  }
}

function startsAt(bytes: Uint8Array, at: number, prefix: Uint8Array): boolean {
  return prefix.every((byte, index) => bytes[at + index] === byte);
}

function isHeader(bytes: Uint8Array, at: number, type: number, prefix: Uint8Array): boolean {
  const length = readU32(bytes, at + 5);
  return bytes[at] === type && readU32(bytes, at + 1) === 0 && length >= prefix.length &&
    length <= maxControlBytes;
}
