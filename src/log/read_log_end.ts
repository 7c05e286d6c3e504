/**
 * The last `maxLines` lines of the log at `path`, at most `maxBytes` (from a whole line on); empty
 * when there is none.
 */
export function readLogEnd(path: string, maxLines: number, maxBytes = 64 * 1024): string {
  try {
    using file = Deno.openSync(path);
    const size = file.statSync().size;
    const from = Math.max(0, size - maxBytes);
    file.seekSync(from, Deno.SeekMode.Start);
    const bytes = new Uint8Array(size - from);
    let filled = 0;
    while (filled < bytes.length) {
      const n = file.readSync(bytes.subarray(filled));
      if (n === null) break;
      filled += n;
    }
    const lines = new TextDecoder().decode(bytes.subarray(0, filled)).split("\n");
    if (from > 0) lines.shift();
    if (lines.at(-1) === "") lines.pop();
    return lines.slice(-maxLines).join("\n");
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return "";
    throw cause;
  }
}
