import type { ModuleSource } from "./module_source.ts";

const superblockOffset = 1024;
const superblockBytes = 1024;
const magic = 0xef53;
const extentMagic = 0xf30a;
const rootInode = 2;
const typeMask = 0xf000;
const typeDirectory = 0x4000;
const typeFile = 0x8000;
const flagExtents = 0x80000;
const entryHeaderBytes = 8;

/** Features that change nothing of what is read here: file types, extents, 64 bit, flexible groups, a seed. */
const knownFeatures = 0x2 | 0x40 | 0x80 | 0x200 | 0x2000;
const feature64Bit = 0x80;

const maxExtentDepth = 5;
const maxDirectoryDepth = 16;
const maxDirectoryBytes = 16 * 1024 * 1024;
const maxFileBytes = 64 * 1024 * 1024;
const maxEntries = 100_000;
/** Most that is read in all, each access counted as a sector at least: a tree that leads in circles ends. */
const maxReadBytes = 1024 ** 3;
const sectorBytes = 512;

interface Inode {
  readonly mode: number;
  readonly size: number;
  readonly flags: number;
  /** Where its blocks are: the 60 bytes of `i_block`. */
  readonly blocks: DataView;
}

interface Layout {
  readonly blockBytes: number;
  readonly blockCount: number;
  readonly inodeBytes: number;
  readonly inodesPerGroup: number;
  readonly inodeCount: number;
  readonly descriptorBytes: number;
  readonly descriptorsAt: number;
}

/**
 * The files of a modules disk: an ext4 file system, read in the form in which it is written for this (Linux,
 * Documentation/filesystems/ext4). It is never mounted and no tool of the host's reads it: what a damaged
 * or hostile one can do is to be refused. Symbolic links are left out.
 */
export class ModuleDisk implements ModuleSource, Disposable {
  readonly name: string;
  readonly #file: Deno.FsFile;
  readonly #layout: Layout;
  readonly #bytes: number;
  /** Inodes of files that were listed. */
  readonly #listed = new Map<string, number>();
  #entriesLeft = maxEntries;
  #bytesLeft = maxReadBytes;

  private constructor(name: string, file: Deno.FsFile, bytes: number, layout: Layout) {
    this.name = name;
    this.#file = file;
    this.#bytes = bytes;
    this.#layout = layout;
  }

  /**
   * @param name how errors name it
   * @throws TypeError when it is no file system that can be read here
   */
  static async open(path: string, name = path): Promise<ModuleDisk> {
    const file = await Deno.open(path, { read: true });
    try {
      const { size } = await file.stat();
      const superblock = await readAt(file, superblockOffset, superblockBytes);
      return new ModuleDisk(name, file, size, layoutOf(new DataView(superblock.buffer), size));
    } catch (error) {
      file.close();
      throw error;
    }
  }

  async *list(directory: string): AsyncGenerator<string> {
    yield* this.#walk(await this.#find(directory), directory, 0);
  }

  async read(path: string): Promise<Uint8Array> {
    const inode = await this.#inode(this.#listed.get(path) ?? await this.#find(path));
    if ((inode.mode & typeMask) !== typeFile) throw new TypeError(`"${path}" is no file`);
    return await this.#content(inode, maxFileBytes);
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  async *#walk(number: number, path: string, depth: number): AsyncGenerator<string> {
    if (depth > maxDirectoryDepth) throw new TypeError(`"${path}" is too deep`);
    for (const [name, inode] of await this.#entries(number)) {
      const below = `${path}/${name}`;
      const type = (await this.#inode(inode)).mode & typeMask;
      if (type === typeDirectory) yield* this.#walk(inode, below, depth + 1);
      else if (type === typeFile) {
        this.#listed.set(below, inode);
        yield below;
      }
    }
  }

  async #find(path: string): Promise<number> {
    let number = rootInode;
    for (const name of path.split("/")) {
      const next = (await this.#entries(number)).get(name);
      if (next === undefined) throw new TypeError(`there is no "${path}"`);
      number = next;
    }
    return number;
  }

  /** Names of a directory and their inodes. Blocks of an index pass for empty ones, as they are meant to. */
  async #entries(number: number): Promise<Map<string, number>> {
    const inode = await this.#inode(number);
    if ((inode.mode & typeMask) !== typeDirectory) throw new TypeError("it is no directory");
    const content = await this.#content(inode, maxDirectoryBytes);
    const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
    const entries = new Map<string, number>();
    const { blockBytes } = this.#layout;
    for (let at = 0; at + entryHeaderBytes <= content.length;) {
      const length = view.getUint16(at + 4, true);
      const nameLength = view.getUint8(at + 6);
      const room = blockBytes - (at % blockBytes);
      if (length < entryHeaderBytes + nameLength || length % 4 !== 0 || length > room) {
        throw new TypeError("a directory is damaged");
      }
      const inodeNumber = view.getUint32(at, true);
      const name = latin1(
        content.subarray(at + entryHeaderBytes, at + entryHeaderBytes + nameLength),
      );
      if (inodeNumber !== 0 && name !== "." && name !== ".." && nameLength > 0) {
        if (--this.#entriesLeft < 0) throw new TypeError("it has too many files");
        if (!/[/\0]/.test(name)) entries.set(name, inodeNumber);
      }
      at += length;
    }
    return entries;
  }

  async #inode(number: number): Promise<Inode> {
    const { inodesPerGroup, inodeBytes, inodeCount, descriptorBytes, descriptorsAt, blockBytes } =
      this.#layout;
    if (number < 1 || number > inodeCount) throw new TypeError("an inode is not there");
    const group = Math.floor((number - 1) / inodesPerGroup);
    const descriptor = await this.#at(descriptorsAt + group * descriptorBytes, descriptorBytes);
    const high = descriptorBytes >= 64 ? descriptor.getUint32(0x28, true) : 0;
    const table = high * 2 ** 32 + descriptor.getUint32(8, true);
    const index = (number - 1) % inodesPerGroup;
    const inode = await this.#at(table * blockBytes + index * inodeBytes, 128);
    return {
      mode: inode.getUint16(0, true),
      size: inode.getUint32(0x6c, true) * 2 ** 32 + inode.getUint32(4, true),
      flags: inode.getUint32(0x20, true),
      blocks: new DataView(inode.buffer, inode.byteOffset + 0x28, 60),
    };
  }

  async #content(inode: Inode, limit: number): Promise<Uint8Array<ArrayBuffer>> {
    if (inode.size > limit) throw new TypeError("a file is too large");
    if ((inode.flags & flagExtents) === 0) throw new TypeError("a file is in an unknown form");
    const content = new Uint8Array(inode.size);
    await this.#extents(inode.blocks, content, 0);
    return content;
  }

  /** Reads what a node of an extent tree leads to into `content`; holes stay zero. */
  async #extents(node: DataView, content: Uint8Array, depth: number): Promise<void> {
    const { blockBytes } = this.#layout;
    const count = node.getUint16(2, true);
    const levels = node.getUint16(6, true);
    const fits = 12 + count * 12 <= node.byteLength;
    if (node.getUint16(0, true) !== extentMagic || !fits || levels + depth > maxExtentDepth) {
      throw new TypeError("a file's blocks are damaged");
    }
    for (let index = 0; index < count; index++) {
      const at = 12 + index * 12;
      if (levels > 0) {
        const block = node.getUint16(at + 8, true) * 2 ** 32 + node.getUint32(at + 4, true);
        const child = await this.#at(block * blockBytes, blockBytes);
        if (child.getUint16(6, true) !== levels - 1) {
          throw new TypeError("a file's blocks are damaged");
        }
        await this.#extents(child, content, depth + 1);
        continue;
      }
      const start = node.getUint32(at, true) * blockBytes;
      const length = node.getUint16(at + 4, true);
      // Longer ones are reserved but not written: they read as zeros.
      if (length > 32_768 || start >= content.length) continue;
      const block = node.getUint16(at + 6, true) * 2 ** 32 + node.getUint32(at + 8, true);
      const bytes = Math.min(length * blockBytes, content.length - start);
      const part = await this.#at(block * blockBytes, bytes);
      content.set(new Uint8Array(part.buffer, part.byteOffset, bytes), start);
    }
  }

  async #at(offset: number, bytes: number): Promise<DataView<ArrayBuffer>> {
    if (offset + bytes > this.#bytes) throw new TypeError("it ends before its content");
    this.#bytesLeft -= Math.max(bytes, sectorBytes);
    if (this.#bytesLeft < 0) throw new TypeError("it leads in circles");
    return new DataView((await readAt(this.#file, offset, bytes)).buffer);
  }
}

function layoutOf(superblock: DataView, bytes: number): Layout {
  const u32 = (at: number) => superblock.getUint32(at, true);
  const u16 = (at: number) => superblock.getUint16(at, true);
  if (u16(0x38) !== magic) throw new TypeError("it is no ext4 file system");
  const incompatible = u32(0x60);
  if ((incompatible & ~knownFeatures) !== 0) throw new TypeError("it has features of another form");
  if (u32(0x18) > 6) throw new TypeError("its blocks are too large");
  const blockBytes = 1024 << u32(0x18);
  const is64Bit = (incompatible & feature64Bit) !== 0;
  const layout: Layout = {
    blockBytes,
    blockCount: u32(4),
    inodeBytes: u16(0x58),
    inodesPerGroup: u32(0x28),
    inodeCount: u32(0),
    descriptorBytes: is64Bit ? u16(0xfe) : 32,
    descriptorsAt: (u32(0x14) + 1) * blockBytes,
  };
  const { inodeBytes, inodesPerGroup, descriptorBytes, blockCount } = layout;
  if (inodeBytes < 128 || inodeBytes > blockBytes || inodesPerGroup === 0) {
    throw new TypeError("its inodes are damaged");
  }
  if (descriptorBytes < 32 || descriptorBytes > blockBytes) {
    throw new TypeError("its groups are damaged");
  }
  if (blockCount * blockBytes > bytes) throw new TypeError("it is cut off");
  return layout;
}

async function readAt(
  file: Deno.FsFile,
  offset: number,
  bytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  await file.seek(offset, Deno.SeekMode.Start);
  const all = new Uint8Array(bytes);
  for (let filled = 0; filled < bytes;) {
    const count = await file.read(all.subarray(filled));
    if (count === null) throw new TypeError("it ends before its content");
    filled += count;
  }
  return all;
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
