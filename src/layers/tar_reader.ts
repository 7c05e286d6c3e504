import type { ByteString } from "../ext4/byte_string.ts";
import { byteString } from "../ext4/byte_string.ts";
import type { LayerLimits } from "./limits.ts";
import { parsePax, type PaxValues } from "./pax_records.ts";
import { refusal, type RefusalCode, type Refuse, shown } from "./refusal.ts";
import {
  checkSegments,
  oldSparseExtension,
  oldSparseHeader,
  segmentsOf,
  SparseMapLines,
  type SparseSegment,
} from "./sparse_map.ts";
import type { TarEntry, TarEntryType, TarHandler } from "./tar_entry.ts";
import { isZeroBlock, parseHeader, tarBlockBytes, type TarHeader } from "./tar_header.ts";

/** What each type of header is; those with content are files only. */
const types: Readonly<Record<string, TarEntryType>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "S": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};
const maxId = 2 ** 32 - 2;
const maxMajor = 2 ** 12 - 1;
const maxMinor = 2 ** 20 - 1;

/** A file whose header was read and whose sparse map may still follow. */
interface PendingFile {
  readonly header: TarHeader;
  readonly values: PaxValues;
  readonly realSize: number;
  readonly segments: SparseSegment[];
}

/**
 * Reads a tar stream as it comes, and tells a handler of its entries: v7, ustar, GNU and pax, with
 * long names, sparse files of all forms, large numbers, and attributes that are bytes.
 *
 * It does what Go's `archive/tar` does, with which layers are read elsewhere: only files have
 * content; global pax headers say nothing; an archive may lack its end mark; what follows that mark
 * is passed over.
 */
export class TarReader {
  readonly #handler: TarHandler;
  readonly #limits: LayerLimits;
  readonly #label: string;

  /** Bytes from here on are collected until `#wanted` are there, and then given to `#onBlock`. */
  #collected = new Uint8Array(tarBlockBytes);
  #collectedBytes = 0;
  #wanted = tarBlockBytes;
  #onBlock: (bytes: Uint8Array) => void = (bytes) => this.#header(bytes);

  #state: "collect" | "content" | "skip" | "done" = "collect";
  /** Bytes of content, or to skip, that are still to come. */
  #left = 0;
  #padding = 0;
  #segments: readonly SparseSegment[] = [];
  #segment = 0;
  #inSegment = 0;

  #values: PaxValues = {};
  #longName: ByteString | undefined;
  #longLink: ByteString | undefined;
  #hasZeroBlock = false;
  /** Name of the entry that is read, for errors. */
  #name: ByteString | undefined;
  #position = 0;
  /** Where the block that is collected starts. */
  #blockAt = 0;
  #headers = 0;

  /**
   * @param label how errors name the layer
   * @param headersBefore how many headers the layers before had: the limit is on all of them
   */
  constructor(handler: TarHandler, limits: LayerLimits, label: string, headersBefore = 0) {
    this.#handler = handler;
    this.#limits = limits;
    this.#label = label;
    this.#headers = headersBefore;
  }

  /** Headers of this layer and those before. */
  get headers(): number {
    return this.#headers;
  }

  /**
   * Reads the next bytes of the stream.
   *
   * @throws BangerError `untrusted` when they break a rule; the reader must not be used again
   */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length && this.#state !== "done";) {
      const taken = this.#state === "collect"
        ? this.#collect(chunk, at)
        : this.#state === "content"
        ? this.#content(chunk, at)
        : this.#skip(chunk.length - at);
      at += taken;
      this.#position += taken;
    }
  }

  /** @throws BangerError `untrusted` when the stream ended within an entry */
  end(): void {
    const isBetween = this.#state === "collect" && this.#collectedBytes === 0 &&
      this.#name === undefined;
    // umoci leaves the padding of the last entry out, and others read such layers.
    const isPadding = this.#state === "skip" && this.#left < tarBlockBytes;
    if (!isBetween && !isPadding && this.#state !== "done") {
      throw this.#refuse("is cut off", "IMAGE_DAMAGED");
    }
  }

  readonly #refuse: Refuse = (rule: string, code: RefusalCode) =>
    refusal(
      this.#label,
      this.#name === undefined ? `entry at byte ${this.#blockAt}` : `entry ${shown(this.#name)}`,
      rule,
      code,
    );

  #collect(chunk: Uint8Array, at: number): number {
    const missing = this.#wanted - this.#collectedBytes;
    if (this.#collectedBytes === 0) this.#blockAt = this.#position;
    if (this.#collectedBytes === 0 && chunk.length - at >= missing) {
      this.#onBlock(chunk.subarray(at, at + missing));
      return missing;
    }
    const part = chunk.subarray(at, Math.min(chunk.length, at + missing));
    if (this.#collected.length < this.#wanted) this.#collected = new Uint8Array(this.#wanted);
    this.#collected.set(part, this.#collectedBytes);
    this.#collectedBytes += part.length;
    if (part.length === missing) {
      this.#collectedBytes = 0;
      this.#onBlock(this.#collected.subarray(0, this.#wanted));
    }
    return part.length;
  }

  #want(bytes: number, onBlock: (bytes: Uint8Array) => void): void {
    this.#state = "collect";
    this.#wanted = bytes;
    this.#onBlock = onBlock;
  }

  #wantHeader(): void {
    this.#want(tarBlockBytes, (bytes) => this.#header(bytes));
  }

  #skip(available: number): number {
    const taken = Math.min(available, this.#left);
    this.#left -= taken;
    if (this.#left === 0) this.#wantHeader();
    return taken;
  }

  #startSkip(bytes: number): void {
    this.#left = bytes;
    this.#state = "skip";
    if (bytes === 0) this.#wantHeader();
  }

  #header(block: Uint8Array): void {
    if (isZeroBlock(block)) {
      if (this.#name !== undefined) throw this.#refuse("is cut off", "IMAGE_DAMAGED");
      if (this.#hasZeroBlock) this.#state = "done";
      this.#hasZeroBlock = true;
      return;
    }
    if (this.#hasZeroBlock) throw this.#refuse("follows a block of zeros", "IMAGE_DAMAGED");
    const header = parseHeader(block, this.#refuse);
    this.#name ??= header.name;
    if (++this.#headers > this.#limits.entries) {
      throw this.#refuse(`is beyond the limit of ${this.#limits.entries} entries`, "IMAGE_LIMIT");
    }
    if ("xgLK".includes(header.flag)) {
      this.#extended(header);
      return;
    }
    this.#entry(header, block);
  }

  /** A header about the next entry. */
  #extended({ flag, size }: TarHeader): void {
    if (size > this.#limits.headerBytes) {
      const rule = `has an extended header of more than ${this.#limits.headerBytes} bytes`;
      throw this.#refuse(rule, "IMAGE_LIMIT");
    }
    const stored = size + paddingOf(size);
    if (flag === "g") {
      this.#name = undefined;
      this.#startSkip(stored);
      return;
    }
    const take = (bytes: Uint8Array) => {
      const content = bytes.subarray(0, size);
      if (flag === "x") {
        this.#values = parsePax(content, this.#limits.sparseSegments, this.#refuse);
        this.#name = this.#values.name ?? this.#name;
      } else if (flag === "L") this.#longName = this.#name = untilNul(content);
      else this.#longLink = untilNul(content);
      this.#wantHeader();
    };
    if (stored === 0) take(new Uint8Array());
    else this.#want(stored, take);
  }

  #entry(header: TarHeader, block: Uint8Array): void {
    const values = this.#values;
    const sparse = values.sparse;
    const type = types[header.flag];
    this.#name = this.#longName ?? sparse?.name ?? values.name ?? header.name;
    if (type === undefined) {
      throw this.#refuse(`has the unknown type ${shown(header.flag)}`, "IMAGE_UNSAFE_ENTRY");
    }
    if (type !== "file" || (header.flag === "\0" && this.#name.endsWith("/"))) {
      this.#handler.entry(this.#made(header, type === "file" ? "directory" : type, 0));
      this.#finish(0);
      return;
    }
    const stored = values.size ?? header.size;
    if (header.flag === "S") {
      const old = oldSparseHeader(block, this.#refuse);
      const file = { header, values, realSize: old.realSize, segments: [...old.segments] };
      if (old.isContinued) this.#wantMap(file, stored);
      else this.#startSparse(file, stored);
    } else if (sparse?.isVersion1 === true) {
      this.#wantMapLines({ header, values, realSize: sparse.realSize ?? 0, segments: [] }, stored);
    } else if (sparse !== undefined && sparse.realSize !== undefined) {
      const segments = segmentsOf(sparse.numbers, this.#refuse);
      this.#startSparse({ header, values, realSize: sparse.realSize, segments }, stored);
    } else {
      this.#handler.entry(this.#made(header, "file", stored));
      this.#startContent([{ offset: 0, length: stored }], stored, paddingOf(stored));
    }
  }

  #wantMap(file: PendingFile, stored: number): void {
    this.#want(tarBlockBytes, (block) => {
      const more = oldSparseExtension(block, this.#refuse);
      file.segments.push(...more.segments);
      if (file.segments.length > this.#limits.sparseSegments) {
        const rule = `has more than ${this.#limits.sparseSegments} data segments`;
        throw this.#refuse(rule, "IMAGE_LIMIT");
      }
      if (!more.isContinued) this.#startSparse(file, stored);
    });
  }

  #wantMapLines(file: PendingFile, stored: number): void {
    const lines = new SparseMapLines(this.#limits.sparseSegments, this.#refuse);
    let left = stored;
    this.#want(tarBlockBytes, (block) => {
      left -= tarBlockBytes;
      if (left < 0) throw this.#refuse("has a damaged sparse map", "IMAGE_DAMAGED");
      const segments = lines.push(block);
      if (segments !== undefined) {
        this.#startSparse({ ...file, segments }, left, paddingOf(stored));
      }
    });
  }

  #startSparse(file: PendingFile, stored: number, padding = paddingOf(stored)): void {
    checkSegments(file.segments, file.realSize, stored, this.#refuse);
    this.#handler.entry(this.#made(file.header, "file", file.realSize));
    this.#startContent(file.segments, stored, padding);
  }

  #startContent(segments: readonly SparseSegment[], stored: number, padding: number): void {
    this.#segments = segments;
    this.#segment = 0;
    this.#inSegment = 0;
    this.#left = stored;
    this.#padding = padding;
    this.#state = "content";
    if (stored === 0) this.#endContent();
  }

  #content(chunk: Uint8Array, at: number): number {
    let segment = this.#segments[this.#segment]!;
    while (this.#inSegment === segment.length) {
      segment = this.#segments[++this.#segment]!;
      this.#inSegment = 0;
    }
    const taken = Math.min(chunk.length - at, segment.length - this.#inSegment);
    this.#handler.data(chunk.subarray(at, at + taken), segment.offset + this.#inSegment);
    this.#inSegment += taken;
    this.#left -= taken;
    if (this.#left === 0) this.#endContent();
    return taken;
  }

  #endContent(): void {
    this.#handler.endFile();
    this.#finish(this.#padding);
  }

  /** The entry is complete but for its padding. */
  #finish(padding: number): void {
    this.#values = {};
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#name = undefined;
    this.#startSkip(padding);
  }

  #made(header: TarHeader, type: TarEntryType, size: number): TarEntry {
    const values = this.#values;
    const id = (value: number, what: string) => {
      if (value >= 0 && value <= maxId) return value;
      throw this.#refuse(`has the ${what} ${value}, which Linux cannot have`, "IMAGE_UNSAFE_ENTRY");
    };
    if (
      header.major < 0 || header.major > maxMajor || header.minor < 0 || header.minor > maxMinor
    ) {
      throw this.#refuse("has a device number that Linux cannot have", "IMAGE_UNSAFE_ENTRY");
    }
    return {
      type,
      name: this.#name!,
      link: this.#longLink ?? values.link ?? header.link,
      mode: header.mode,
      uid: id(values.uid ?? header.uid, "owner"),
      gid: id(values.gid ?? header.gid, "group"),
      size,
      mtime: values.mtime ?? { seconds: header.mtimeSeconds, nanoseconds: 0 },
      major: header.major,
      minor: header.minor,
      xattrs: values.xattrs ?? [],
    };
  }
}

function paddingOf(bytes: number): number {
  return (tarBlockBytes - bytes % tarBlockBytes) % tarBlockBytes;
}

function untilNul(bytes: Uint8Array): ByteString {
  const nul = bytes.indexOf(0);
  return byteString(bytes, 0, nul < 0 ? bytes.length : nul);
}
