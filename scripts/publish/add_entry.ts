import { catalogFormat } from "../../src/catalog/catalog.ts";
import {
  parseWrittenCatalog,
  type WrittenCatalog,
  type WrittenEntry,
} from "../../src/catalog/parse_catalog.ts";

/**
 * Puts an entry into the catalog file `path`, in place of the one with its kind, name and
 * architecture. The file is replaced by one rename: readers see the old one or the new one. The
 * caller holds the catalog's lock. Answers the number of entries.
 *
 * @throws BangerError `untrusted` when the file, or the entry, breaks a rule of catalogs
 */
export async function addEntry(path: string, entry: WrittenEntry): Promise<number> {
  const before = await read(path);
  const others = before.entries.filter((each) => keyOf(each) !== keyOf(entry));
  const entries = [...others, entry].sort((a, b) => keyOf(a) < keyOf(b) ? -1 : 1);
  const text = `${JSON.stringify({ format: catalogFormat, entries }, null, 2)}\n`;
  // What this program would refuse to read is not written.
  parseWrittenCatalog(text, path);
  const partial = `${path}.${crypto.randomUUID().slice(0, 8)}.partial`;
  await using undo = new AsyncDisposableStack();
  {
    using file = await Deno.open(partial, { write: true, createNew: true, mode: 0o644 });
    undo.defer(() => Deno.remove(partial));
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.sync();
  }
  await Deno.rename(partial, path);
  undo.move();
  using dir = await Deno.open(path.slice(0, path.lastIndexOf("/")) || ".", { read: true });
  await dir.sync();
  return entries.length;
}

async function read(path: string): Promise<WrittenCatalog> {
  try {
    return parseWrittenCatalog(await Deno.readTextFile(path), path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { format: catalogFormat, entries: [] };
    throw error;
  }
}

function keyOf({ kind, name, arch }: WrittenEntry): string {
  return `${kind} ${name} ${arch}`;
}
