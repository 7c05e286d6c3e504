/** A member of a tar that a test writes. */
export interface TarFixtureEntry {
  readonly name: string;
  readonly content?: Uint8Array | string;
  /** `0` when left out: a file. */
  readonly type?: "0" | "1" | "2" | "5" | "6";
  readonly link?: string;
  /** Permission bits; 0644 when left out. */
  readonly mode?: number;
}

const blockBytes = 512;

/** A ustar archive with these members, in this order. */
export function tarOf(entries: readonly TarFixtureEntry[]): Uint8Array<ArrayBuffer> {
  const blocks: Uint8Array[] = [];
  for (const { name, content = "", type = "0", link = "", mode = 0o644 } of entries) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const padding = new Uint8Array((blockBytes - (bytes.length % blockBytes)) % blockBytes);
    blocks.push(header({ name, type, link, mode }, bytes.length), bytes, padding);
  }
  blocks.push(new Uint8Array(2 * blockBytes));
  const all = new Uint8Array(blocks.reduce((sum, block) => sum + block.length, 0));
  let at = 0;
  for (const block of blocks) {
    all.set(block, at);
    at += block.length;
  }
  return all;
}

function header(
  { name, type, link, mode }: Required<Omit<TarFixtureEntry, "content">>,
  size: number,
): Uint8Array {
  const block = new Uint8Array(blockBytes);
  const put = (at: number, text: string) => block.set(new TextEncoder().encode(text), at);
  put(0, name);
  put(100, `${mode.toString(8).padStart(7, "0")}\0`);
  put(124, `${size.toString(8).padStart(11, "0")}\0`);
  put(156, type);
  put(157, link);
  put(257, "ustar\0");
  put(148, "        ");
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}
