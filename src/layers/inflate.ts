import { Buffer } from "node:buffer";
import type { Transform } from "node:stream";
import { createGunzip, createZstdDecompress, zstdDecompressSync } from "node:zlib";
import { reasonOf } from "../model/errors.ts";
import { refusal } from "./refusal.ts";
import { ZstdFrames } from "./zstd_frames.ts";

/** How a layer is compressed, by its first bytes; media types lie too often. */
export type Compression = "gzip" | "zstd" | "none";

/** What a decoder makes at a time. Measured: smaller outputs cost more calls, larger ones more memory. */
export const inflatedChunkBytes = 256 * 1024;
/** A frame of so few bytes is inflated in one call: a stream of its own would cost more. */
const smallFrameBytes = 128 * 1024;
/** What such a frame may become; a larger one is inflated as a stream. */
const smallFrameOutput = 8 * 1024 ** 2;

/**
 * Inflates a stream of any compression; members and frames one after the other are one stream. A
 * chunk of `chunks` need be valid only until the next one is asked for.
 */
export async function* inflate(
  chunks: AsyncIterable<Uint8Array>,
  label: string,
): AsyncGenerator<Uint8Array> {
  const source = chunks[Symbol.asyncIterator]();
  try {
    const head = await readHead(source);
    const all = withHead(head, source);
    switch (compressionOf(head)) {
      case "gzip":
        return yield* through(createGunzip({ chunkSize: inflatedChunkBytes }), all, label);
      case "zstd":
        return yield* inflateZstd(all, label);
      case "none":
        return yield* all;
    }
  } finally {
    await source.return?.();
  }
}

/** Tells the compression by the first four bytes; fewer are none. */
export function compressionOf(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b && head[2] === 8) return "gzip";
  if (head.length < 4) return "none";
  const magic = new DataView(head.buffer, head.byteOffset).getUint32(0, true);
  const isSkippable = ((magic & 0xfffffff0) >>> 0) === 0x184d2a50;
  return magic === 0xfd2fb528 || isSkippable ? "zstd" : "none";
}

/** The first chunk, with at least four bytes unless there are fewer. */
async function readHead(source: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0);
  while (head.length < 4) {
    const { value, done } = await source.next();
    if (done === true) break;
    // One that is too short must outlive the next one.
    head = head.length === 0 && value.length >= 4 ? value : Buffer.concat([head, value]);
  }
  return head;
}

async function* withHead(
  head: Uint8Array,
  source: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head;
  while (true) {
    const { value, done } = await source.next();
    if (done === true) return;
    yield value;
  }
}

/** Sends `chunks` through a decoder of zlib. */
async function* through(
  decoder: Transform,
  chunks: AsyncIterable<Uint8Array>,
  label: string,
): AsyncGenerator<Uint8Array> {
  const feeding = new Feeding(decoder);
  const fed = feeding.run(chunks);
  try {
    for await (const chunk of decoder) yield chunk as Uint8Array;
    // zlib ends at zeros behind a member; what else there is would go unread and unhashed.
    if (!feeding.isComplete) throw new Error("bytes follow its end");
  } catch (cause) {
    if (feeding.failure !== undefined) throw feeding.failure.error;
    throw refusal(label, "it", `cannot be inflated: ${reasonOf(cause)}`, "IMAGE_DAMAGED");
  } finally {
    decoder.destroy();
    await fed;
  }
}

/**
 * Gives a decoder one chunk after the other. Not by `pipe`: a stream asks for chunks ahead, while a
 * source may put each into the same buffer.
 */
class Feeding {
  /** Whether everything was given and taken. */
  isComplete = false;
  /** What the source threw. */
  failure: { readonly error: unknown } | undefined;
  readonly #decoder: Transform;
  readonly #closed: Promise<false>;

  constructor(decoder: Transform) {
    this.#decoder = decoder;
    this.#closed = new Promise((resolve) => decoder.once("close", () => resolve(false)));
  }

  /** Never rejects. */
  async run(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const source = chunks[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { value, done } = await source.next();
        if (this.#decoder.destroyed) return;
        if (done === true) break;
        if (!await Promise.race([this.#taken(value), this.#closed])) return;
      }
      this.isComplete = true;
      this.#decoder.end();
    } catch (error) {
      this.failure = { error };
      this.#decoder.destroy(error instanceof Error ? error : new Error(reasonOf(error)));
    } finally {
      // One that fails here has failed before, or has nothing left that anybody wants.
      await source.return?.().catch(() => {});
    }
  }

  #taken(chunk: Uint8Array): Promise<boolean> {
    return new Promise((resolve) => this.#decoder.write(chunk, (error) => resolve(!error)));
  }
}

async function* inflateZstd(
  chunks: AsyncIterable<Uint8Array>,
  label: string,
): AsyncGenerator<Uint8Array> {
  const frames = new ZstdFrames();
  const source = frameParts(chunks, frames, label);
  try {
    while (true) {
      const frame = await firstParts(source);
      if (frame === undefined) return;
      const whole = frame.isLast ? inflateSmall(frame.bytes) : undefined;
      if (whole !== undefined) yield whole;
      else {
        const rest = frame.isLast ? undefined : source;
        const decoder = createZstdDecompress({ chunkSize: inflatedChunkBytes });
        yield* through(decoder, oneFrame(frame.bytes, rest), label);
      }
    }
  } finally {
    await source.return(undefined);
  }
}

type Part = { bytes: Uint8Array; isLast: boolean };

async function* frameParts(
  chunks: AsyncIterable<Uint8Array>,
  frames: ZstdFrames,
  label: string,
): AsyncGenerator<Part, void> {
  for await (const chunk of chunks) {
    const parts = frames.push(chunk);
    if (parts === undefined) {
      throw refusal(label, "it", "is no sound zstd stream", "IMAGE_DAMAGED");
    }
    yield* parts;
  }
  if (!frames.isBetweenFrames) throw refusal(label, "it", "is cut off", "IMAGE_DAMAGED");
}

/** The start of the next frame: all of a small one. */
async function firstParts(source: AsyncGenerator<Part, void>): Promise<Part | undefined> {
  const collected: Uint8Array[] = [];
  let bytes = 0;
  while (true) {
    const { value, done } = await source.next();
    // A stream that ends within a frame was refused before.
    if (done === true) return undefined;
    // The source may use its buffer again for the next part.
    collected.push(value.bytes.slice());
    bytes += value.bytes.length;
    if (value.isLast || bytes > smallFrameBytes) {
      return { bytes: Buffer.concat(collected), isLast: value.isLast };
    }
  }
}

/** A small frame at once; `undefined` when it becomes large or is damaged, which a stream tells. */
function inflateSmall(frame: Uint8Array): Uint8Array | undefined {
  if (frame.length > smallFrameBytes) return undefined;
  try {
    return zstdDecompressSync(frame, { maxOutputLength: smallFrameOutput });
  } catch {
    return undefined;
  }
}

async function* oneFrame(
  start: Uint8Array,
  rest: AsyncGenerator<Part, void> | undefined,
): AsyncGenerator<Uint8Array> {
  yield start;
  while (rest !== undefined) {
    const { value, done } = await rest.next();
    if (done === true) return;
    yield value.bytes;
    if (value.isLast) return;
  }
}
