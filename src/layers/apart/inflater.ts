import { toWireError } from "../../api/codec.ts";
import { inflate } from "../inflate.ts";
import type { LayerFile } from "./flatten_job.ts";
import type { FromInflater, LabelledLayer, ToInflater } from "./inflating_thread.ts";

/** Measured: as fast as larger ones. */
const readBytes = 1024 ** 2;
/** How often a layer that is not all there is looked at. */
const lookEveryMs = 5;

/** What runs in the thread that inflates: reads layer after layer, each while it comes. */
export class Inflater {
  readonly #post: (message: FromInflater, transfer: Transferable[]) => void;
  readonly #free: ArrayBuffer[] = [];
  #wake: (() => void) | undefined;

  constructor(post: (message: FromInflater, transfer: Transferable[]) => void) {
    this.#post = post;
  }

  /** Takes a message of the thread that writes. */
  accept(message: ToInflater): void {
    if (message.type === "start") {
      this.#free.push(...message.buffers);
      void this.#run(message.layers);
    } else {
      this.#free.push(message.buffer);
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
    let storedBytes = 0;
    const stored = readAsItComes(layer, (bytes) => storedBytes += bytes);
    for await (const chunk of inflate(stored, layer.label)) {
      for (let at = 0; at < chunk.length;) {
        const buffer = await this.#buffer();
        const part = chunk.subarray(at, at + buffer.byteLength);
        new Uint8Array(buffer).set(part);
        at += part.length;
        this.#post({ type: "chunk", buffer, length: part.length, storedBytes }, [buffer]);
      }
    }
    return storedBytes;
  }

  async #buffer(): Promise<ArrayBuffer> {
    for (;;) {
      const buffer = this.#free.pop();
      if (buffer !== undefined) return buffer;
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
  }
}

/**
 * The bytes of a layer, as far as they are there and then as they come. Waits without end: whoever
 * wants no more ends this process.
 */
async function* readAsItComes(
  layer: LayerFile,
  onRead: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  using file = await openWhenThere(layer);
  const buffer = new Uint8Array(readBytes);
  for (let left = layer.size; left > 0;) {
    const length = file.readSync(buffer.subarray(0, left));
    if (length === null) await pause();
    else {
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
