/** How much of what was downloaded is kept, in bytes; it can all be fetched again. */
export const downloadsLimitBytes = 512 * 1024 ** 2;

/**
 * Removes the files of `dir` that were longest not written until the rest fits into `limitBytes`.
 * Files of downloads under way (younger than an hour) stay.
 */
export async function pruneDownloads(
  dir: string,
  limitBytes: number,
  nowMs: number,
): Promise<void> {
  const files: { path: string; bytes: number; writtenMs: number }[] = [];
  for await (const entry of Deno.readDir(dir)) {
    if (!entry.isFile) continue;
    const path = `${dir}/${entry.name}`;
    const { size, mtime } = await Deno.lstat(path);
    files.push({ path, bytes: size, writtenMs: mtime?.getTime() ?? 0 });
  }
  files.sort((a, b) => b.writtenMs - a.writtenMs);
  let kept = 0;
  for (const { path, bytes, writtenMs } of files) {
    kept += bytes;
    if (kept > limitBytes && nowMs - writtenMs > 3_600_000) await Deno.remove(path);
  }
}
