/**
 * Puts a finished staging directory in its final place by one rename: readers see all of it or
 * nothing. Files become read-only (0444) and are on disk before the rename, the rename before the
 * answer. When `target` exists (the same content was published before), the staging directory is
 * left to its owner and the existing one stands.
 *
 * @returns whether it was this call that published
 */
export async function publishDir(staged: string, target: string): Promise<boolean> {
  for await (const entry of Deno.readDir(staged)) {
    const path = `${staged}/${entry.name}`;
    if (entry.isDirectory) continue;
    const file = await Deno.open(path, { read: true });
    try {
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.chmod(path, 0o444);
  }
  await syncDir(staged);
  try {
    await Deno.rename(staged, target);
  } catch (error) {
    if (await isDirectory(target)) return false;
    throw error;
  }
  await syncDir(target.slice(0, target.lastIndexOf("/")));
  return true;
}

async function syncDir(path: string): Promise<void> {
  const dir = await Deno.open(path, { read: true });
  try {
    await dir.sync();
  } finally {
    dir.close();
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await Deno.lstat(path)).isDirectory;
  } catch {
    return false;
  }
}
