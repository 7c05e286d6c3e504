import { toWireError } from "../../api/codec.ts";
import { inflate, inflatedChunkBytes } from "../inflate.ts";
import type { LayerFile } from "./flatten_job.ts";
import {
  chunksAhead,
  chunksAtOnce,
  type FromInflater,
  type LabelledLayer,
  type ToInflater,
} from "./inflating_thread.ts";

/** Measured: as fast as larger ones. */
const readBytes = 1024 ** 2;
/** How often a layer that is not all there is looked at. */
const lookEveryMs = 5;

/** What runs in a thread that inflates: reads layer after layer, each while it comes. */
export class Inflater {
  readonly #post: (message: FromInflater, transfer: Transferable[]) => void;
  #onTheirWay = 0;
  /** How many of them are of the layer before. */
  #before = 0;
  #most: number = chunksAhead.ofNext;
  #wake: (() => void) | undefined;

  constructor(post: (message: FromInflater, transfer: Transferable[]) => void) {
    this.#post = post;
  }

  /** Takes a message of the thread that writes. */
  accept(message: ToInflater): void {
    if (message.type === "start") void this.#run(message.layers);
    else {
      this.#onTheirWay -= message.chunks;
      // Whoever uses the first ones of a layer has come to it; no message has chunks of two.
      if (this.#before > 0) this.#before -= message.chunks;
      else this.#most = chunksAhead.ofThis;
      this.#wake?.();
    }
  }

  async #run(layers: readonly LabelledLayer[]): Promise<void> {
    try {
      for (const [index, layer] of layers.entries()) {
        const storedBytes = await this.#inflate(layer);
        // What the image is made of must be what the digests say.
        if (index === layers.length - 1) await allThere(layers);
        this.#post({ type: "end", storedBytes }, []);
      }
    } catch (error) {
      this.#post({ type: "failed", error: toWireError(error) }, []);
    }
  }

  async #inflate(layer: LabelledLayer): Promise<number> {
    this.#before = this.#onTheirWay;
    this.#most = chunksAhead.ofNext;
    let storedBytes = 0;
    let contents: Uint8Array<ArrayBuffer>[] = [];
    const post = () => {
      if (contents.length === 0) return;
      this.#post({ type: "chunks", contents, storedBytes }, contents.map(({ buffer }) => buffer));
      contents = [];
    };
    const stored = readAsItComes(layer, (bytes) => storedBytes += bytes, post);
    try {
      for await (const chunk of inflate(stored, layer.label)) {
        while (this.#onTheirWay - this.#before >= this.#most) await this.#someUsed();
        this.#onTheirWay++;
        contents.push(ownBytes(chunk));
        if (contents.length === chunksAtOnce) post();
      }
    } finally {
      // What comes before a failure may be wrong itself, and is then what is to be told.
      post();
    }
    return storedBytes;
  }

  async #someUsed(): Promise<void> {
    await new Promise<void>((resolve) => this.#wake = resolve);
    this.#wake = undefined;
  }
}

/**
 * The bytes in a buffer that may be given away: a decoder fills most of its buffers whole and has no use for
 * them then; what else is there is copied.
 */
function ownBytes(chunk: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = chunk;
  const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === chunk.length &&
    chunk.length === inflatedChunkBytes;
  return isWhole ? new Uint8Array(buffer) : new Uint8Array(chunk);
}

/**
 * The bytes of a layer, as far as they are there and then as they come. Waits without end: whoever
 * wants no more ends this process. Tells of the bytes that it has read, and before it waits for more.
 */
async function* readAsItComes(
  layer: LayerFile,
  onRead: (bytes: number) => void,
  onWait: () => void,
): AsyncGenerator<Uint8Array> {
  using file = await openWhenThere(layer);
  const buffer = new Uint8Array(readBytes);
  for (let left = layer.size; left > 0;) {
    const length = file.readSync(buffer.subarray(0, left));
    if (length === null) {
      onWait();
      await pause();
    } else {
      left -= length;
      onRead(length);
      yield buffer.subarray(0, length);
    }
  }
}

async function openWhenThere({ path, partPath }: LayerFile): Promise<Deno.FsFile> {
  for (;;) {
    // In this order: in between it may get its name.
    const file = openIfThere(partPath) ?? openIfThere(path);
    if (file !== undefined) return file;
    await pause();
  }
}

function openIfThere(path: string): Deno.FsFile | undefined {
  try {
    return Deno.openSync(path, { read: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Waits until each has the name that it gets when its digest was checked. */
async function allThere(layers: readonly LayerFile[]): Promise<void> {
  for (const { path } of layers) {
    for (let file = openIfThere(path);; file = openIfThere(path)) {
      file?.close();
      if (file !== undefined) break;
      await pause();
    }
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, lookEveryMs));
}
