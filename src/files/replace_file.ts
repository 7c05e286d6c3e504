/** How {@linkcode replaceFile} writes. */
export interface ReplaceOptions {
  /** Whether the bytes are on the disk before the file has its name. */
  readonly isDurable?: boolean;
}

/**
 * Writes a file anew in one step (0600), whatever has its name: who reads it sees the old one or the new one. A link is
 * replaced and not written through, and nothing stays beside it when it cannot be written. Nobody else may
 * write it at the same time.
 */
export function replaceFile(
  path: string,
  content: string | Uint8Array,
  { isDurable = false }: ReplaceOptions = {},
): void {
  const temporary = `${path}.new`;
  remove(temporary);
  try {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    using file = Deno.openSync(temporary, { write: true, createNew: true, mode: 0o600 });
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    if (isDurable) file.syncDataSync();
    // Nothing is renamed over a directory.
    if (isDirectory(path)) remove(path);
    Deno.renameSync(temporary, path);
  } catch (error) {
    try {
      remove(temporary);
    } catch {
      // What went wrong before is the reason to be told.
    }
    throw error;
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function isDirectory(path: string): boolean {
  try {
    return Deno.lstatSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
