const magic = 0xb007f457;
const version = 0x00020001;
const hasPrefix = 0x80000000;
const hasValues = 0x40000000;
const hasChildren = 0x20000000;

/** One key of an index with what it leads to. */
export interface IndexEntry {
  readonly key: string;
  readonly value: string;
  /** Lower comes first among values of one key. */
  readonly priority: number;
}

interface Node {
  readonly prefix: string;
  readonly values: readonly IndexEntry[];
  /** By the character that leads to them, in order. */
  readonly children: ReadonlyMap<number, Node>;
}

/**
 * The bytes of a kmod index (`modules.dep.bin`, `modules.alias.bin`, …), which `modprobe` reads
 * instead of the text files: a radix tree, children before parents, numbers big-endian (kmod,
 * libkmod/libkmod-index.h). Keys that are not printable ASCII are
 * left out.
 */
export function moduleIndex(entries: readonly IndexEntry[]): Uint8Array {
  const sorted = entries.filter(({ key }) => isPlainAscii(key)).sort(byKey);
  const out = new ByteSink();
  out.number(magic);
  out.number(version);
  out.number(0);
  const root = writeNode(build(sorted, 0), out);
  const bytes = out.bytes();
  new DataView(bytes.buffer).setUint32(8, root);
  return bytes;
}

function isPlainAscii(key: string): boolean {
  return /^[\u0020-\u007e]*$/.test(key);
}

function byKey(a: IndexEntry, b: IndexEntry): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return a.priority - b.priority;
}

/** The tree of `entries`, which are sorted and share their first `depth` characters. */
function build(entries: readonly IndexEntry[], depth: number): Node {
  const first = entries[0]?.key ?? "";
  const last = entries.at(-1)?.key ?? "";
  let end = depth;
  while (end < first.length && first[end] === last[end]) end++;
  const values = entries.filter(({ key }) => key.length === end);
  const children = new Map<number, Node>();
  for (let start = values.length; start < entries.length;) {
    const character = entries[start]?.key.charCodeAt(end) ?? 0;
    let stop = start;
    while (stop < entries.length && entries[stop]?.key.charCodeAt(end) === character) stop++;
    children.set(character, build(entries.slice(start, stop), end + 1));
    start = stop;
  }
  return { prefix: first.slice(depth, end), values, children };
}

/** Writes a node behind its children; answers its offset with what it has in the top bits. */
function writeNode(node: Node, out: ByteSink): number {
  const characters = [...node.children.keys()];
  const first = characters[0] ?? 0;
  const last = characters.at(-1) ?? 0;
  const offsets: number[] = [];
  if (characters.length > 0) {
    for (let character = first; character <= last; character++) {
      const child = node.children.get(character);
      offsets.push(child === undefined ? 0 : writeNode(child, out));
    }
  }
  let where = out.length;
  if (node.prefix !== "") {
    where += hasPrefix;
    out.text(node.prefix);
  }
  if (offsets.length > 0) {
    where += hasChildren;
    out.byte(first);
    out.byte(last);
    for (const offset of offsets) out.number(offset);
  }
  if (node.values.length > 0) {
    where += hasValues;
    out.number(node.values.length);
    for (const { priority, value } of node.values) {
      out.number(priority);
      out.text(value);
    }
  }
  return where;
}

/** Grows by doubling; numbers are 32-bit big-endian, texts end with NUL. */
class ByteSink {
  #buffer = new Uint8Array(64 * 1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.slice(0, this.#length);
  }

  byte(value: number): void {
    this.#append(Uint8Array.of(value));
  }

  number(value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value);
    this.#append(bytes);
  }

  text(value: string): void {
    this.#append(new TextEncoder().encode(`${value}\0`));
  }

  #append(bytes: Uint8Array): void {
    while (this.#length + bytes.length > this.#buffer.length) {
      const larger = new Uint8Array(this.#buffer.length * 2);
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }
}
