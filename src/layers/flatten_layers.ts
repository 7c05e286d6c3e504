import { Ext4Writer } from "../ext4/ext4_writer.ts";
import { ImageFile } from "../ext4/image_file.ts";
import { Inode, type Timestamp } from "../ext4/inode.ts";
import { defaultLimits, type LayerLimits } from "./limits.ts";
import { type FileBody, MergedTree } from "./merged_tree.ts";
import { type LayerDigests, type LayerSource, type ReadLayer, readLayer } from "./read_layer.ts";
import { refusal, shown } from "./refusal.ts";
import type { TarEntry, TarHandler } from "./tar_entry.ts";
import { TarReader } from "./tar_reader.ts";

/** How far {@linkcode flattenLayers} is. */
export interface FlattenProgress {
  /** Index of the layer that is read; the count of layers while the tree is written. */
  readonly layer: number;
  /** Bytes of this layer, as stored, that were read. */
  readonly storedBytes: number;
}

/** What {@linkcode flattenLayers} makes of what. */
export interface FlattenOptions {
  /** The lowest first. */
  readonly layers: readonly LayerSource[];
  /** Path of the image, which must not exist. It is removed when anything fails. */
  readonly out: string;
  /** Virtual size of the file system in bytes; blocks that are not used take no space. */
  readonly sizeBytes: number;
  /** 16 bytes. */
  readonly uuid: Uint8Array;
  /** Time of the file system, and of directories that no layer has an entry for. */
  readonly made: Timestamp;
  /** Name of the file system, at most 16 bytes of ASCII. */
  readonly label?: string;
  /** Directory below the root that the layers are, and that is all there is; only root may enter the root then. */
  readonly directory?: string;
  readonly limits?: Partial<LayerLimits>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: FlattenProgress) => void;
  /** Reads a layer; in this thread when left out. */
  readonly readLayer?: ReadLayer;
}

/** What {@linkcode flattenLayers} made. */
export interface FlattenedImage {
  /** Bytes that the file takes on the disk. */
  readonly diskBytes: number;
  /** Bytes that the file system counts as used. */
  readonly usedBytes: number;
  readonly inodes: number;
  /** One for each layer. */
  readonly layers: readonly LayerDigests[];
}

/**
 * Makes one ext4 image of an image's layers, in one pass over each. Equal layers, size, UUID and time
 * give equal bytes. Nothing is unpacked onto the host, and no right but to write `out` is needed.
 *
 * The content of a file is written when it comes by; when a later layer replaces or removes the file,
 * its blocks are used again. Keeping layers to see first what survives would write and read all of
 * them once more.
 *
 * Works in the caller's thread, in slices of a chunk; where others must not wait, see `apart`.
 * The file is not synced: whoever publishes it does that.
 *
 * @throws BangerError `untrusted` when a layer is damaged, unsafe, beyond a limit or not the one that
 * it should be (codes IMAGE_DAMAGED, IMAGE_UNSAFE_ENTRY, IMAGE_LIMIT, IMAGE_DIGEST); `exhausted` when
 * the content does not fit, or the disk is full
 */
export async function flattenLayers(options: FlattenOptions): Promise<FlattenedImage> {
  const file = ImageFile.create(options.out, options.sizeBytes);
  try {
    using written = file;
    const image = await flattenInto(written, options);
    return { diskBytes: written.diskBytes(), ...image };
  } catch (error) {
    await Deno.remove(options.out).catch(() => {});
    throw error;
  }
}

/**
 * As {@linkcode flattenLayers}, into a file that is open; when anything fails it is the caller's to remove.
 * Needs no permission at all, if `readLayer` needs none.
 */
export async function flattenInto(
  file: ImageFile,
  options: Omit<FlattenOptions, "out">,
): Promise<Omit<FlattenedImage, "diskBytes">> {
  const limits = { ...defaultLimits, ...options.limits };
  const { sizeBytes, uuid, made, label, signal } = options;
  const writer = new Ext4Writer(file, {
    sizeBytes,
    uuid,
    made,
    ...(label === undefined ? {} : { label }),
    ...(signal === undefined ? {} : { signal }),
  });
  const tree = new MergedTree(writer.contents, limits, made);
  const layers: LayerDigests[] = [];
  let headers = 0;
  let tarBytes = 0;
  for (const [index, layer] of options.layers.entries()) {
    const reading = (options.readLayer ?? readLayer)(layer, limits, tarBytes);
    const handler = new LayerHandler(tree, writer.contents, layer.label);
    const reader = new TarReader(handler, limits, layer.label, headers);
    tree.beginLayer();
    for await (const chunk of reading.chunks) {
      signal?.throwIfAborted();
      reader.push(chunk);
      options.onProgress?.({ layer: index, storedBytes: reading.storedBytes });
    }
    reader.end();
    const digests = reading.digests();
    layers.push(digests);
    headers = reader.headers;
    tarBytes += digests.tarBytes;
  }
  signal?.throwIfAborted();
  options.onProgress?.({ layer: options.layers.length, storedBytes: 0 });
  const root = options.directory === undefined
    ? tree.root
    : new Inode({ mode: 0o700, uid: 0, gid: 0, mtime: made, xattrs: [] }, {
      type: "directory",
      children: new Map([[options.directory, tree.root]]),
    });
  return { ...await writer.finish(root), layers };
}

/** Applies entries to the tree, and streams the contents of files into the image. */
class LayerHandler implements TarHandler {
  readonly #tree: MergedTree;
  readonly #contents: Ext4Writer["contents"];
  readonly #label: string;
  /** The file whose content comes; none when it is a whiteout, which has content only by mistake. */
  #file: FileBody | undefined;

  constructor(tree: MergedTree, contents: Ext4Writer["contents"], label: string) {
    this.#tree = tree;
    this.#contents = contents;
    this.#label = label;
  }

  entry(entry: TarEntry): void {
    this.#file = this.#tree.apply(
      entry,
      (rule, code) => refusal(this.#label, `entry ${shown(entry.name)}`, rule, code),
    );
    if (this.#file !== undefined) this.#contents.begin(entry.size);
  }

  data(bytes: Uint8Array, offset: number): void {
    if (this.#file !== undefined) this.#contents.write(bytes, offset);
  }

  endFile(): void {
    if (this.#file !== undefined) this.#file.content = this.#contents.end();
    this.#file = undefined;
  }
}
