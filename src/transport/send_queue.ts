import type { ByteLink } from "./byte_link.ts";

/** Most bytes of frames that are joined into one write. */
const joinedBytes = 64 * 1024;

/**
 * Sends frames in order over a link, several in one write when they pile up. What waits is bounded
 * by whoever asks {@linkcode SendQueue.queuedBytes}.
 */
export class SendQueue {
  readonly #link: ByteLink;
  readonly #onFailure: (error: unknown) => void;
  readonly #encoder = new TextEncoder();
  #frames: Uint8Array[] = [];
  #queuedBytes = 0;
  /** What is being written; nothing is queued without. */
  #writing: Uint8Array | undefined;
  #failed = false;
  /** Told when nothing is queued any more. */
  #waiting: (() => void)[] = [];

  constructor(link: ByteLink, onFailure: (error: unknown) => void) {
    this.#link = link;
    this.#onFailure = onFailure;
  }

  /** Bytes that are not written yet. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Queues `message` as one line. */
  send(message: unknown): void {
    this.#push([this.#encoder.encode(`${JSON.stringify(message)}\n`)]);
  }

  /** Queues one line of `head`, `json` and `tail`. `json` is not copied and must not change. */
  sendParts(head: string, json: Uint8Array, tail: string): void {
    this.#push([this.#encoder.encode(head), json, this.#encoder.encode(`${tail}\n`)]);
  }

  /** Resolves when everything queued so far has been written, or never will be. */
  async flushed(): Promise<void> {
    if (this.#writing !== undefined) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #push(frames: readonly Uint8Array[]): void {
    if (this.#failed) return;
    for (const frame of frames) {
      this.#frames.push(frame);
      this.#queuedBytes += frame.length;
    }
    if (this.#writing === undefined) this.#write();
  }

  #write(): void {
    this.#writing = this.#takeSome();
    this.#link.write(this.#writing).then(this.#onWritten, this.#onFailed);
  }

  readonly #onWritten = (): void => {
    this.#queuedBytes -= this.#writing?.length ?? 0;
    this.#writing = undefined;
    if (this.#frames.length > 0) this.#write();
    else this.#tellWaiting();
  };

  readonly #onFailed = (error: unknown): void => {
    this.#failed = true;
    this.#frames = [];
    this.#writing = undefined;
    this.#queuedBytes = 0;
    this.#onFailure(error);
    this.#tellWaiting();
  };

  #tellWaiting(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #takeSome(): Uint8Array {
    const first = this.#frames[0] ?? new Uint8Array(0);
    if (this.#frames.length === 1 || first.length >= joinedBytes) {
      this.#frames.shift();
      return first;
    }
    let length = 0;
    let count = 0;
    for (const frame of this.#frames) {
      if (count > 0 && length + frame.length > joinedBytes) break;
      length += frame.length;
      count++;
    }
    const joined = new Uint8Array(length);
    let at = 0;
    for (const frame of this.#frames.splice(0, count)) {
      joined.set(frame, at);
      at += frame.length;
    }
    return joined;
  }
}
