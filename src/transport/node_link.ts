import type { Socket } from "node:net";
import type { ByteLink } from "./byte_link.ts";

/** Bytes that may wait unread before the socket is paused. */
const highWaterBytes = 256 * 1024;

/** A {@linkcode ByteLink} over a `node:net` socket; reads push back on the sender. */
export class NodeLink implements ByteLink {
  readonly #socket: Socket;
  readonly #chunks: Uint8Array[] = [];
  #queuedBytes = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Uint8Array) => {
      this.#chunks.push(chunk);
      this.#queuedBytes += chunk.length;
      if (this.#queuedBytes >= highWaterBytes) socket.pause();
      this.#wake?.();
    });
    const end = () => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on("end", end);
    socket.on("close", end);
    // "close" follows; without a listener it would be thrown.
    socket.on("error", end);
  }

  /** One read at a time. */
  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#chunks.length === 0) {
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
    return this.#take(buffer);
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve());
    });
  }

  close(): void {
    this.#ended = true;
    this.#chunks.length = 0;
    this.#socket.destroy();
    this.#wake?.();
  }

  #take(buffer: Uint8Array): number {
    const chunk = this.#chunks[0] ?? new Uint8Array(0);
    const n = Math.min(chunk.length, buffer.length);
    buffer.set(n === chunk.length ? chunk : chunk.subarray(0, n));
    if (n === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(n);
    const wasFull = this.#queuedBytes >= highWaterBytes;
    this.#queuedBytes -= n;
    if (wasFull && this.#queuedBytes < highWaterBytes) this.#socket.resume();
    return n;
  }
}
