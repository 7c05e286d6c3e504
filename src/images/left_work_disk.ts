/**
 * What tells a work disk that was left in the making from one with somebody's files. In a file of its own: who looks for
 * one needs no writer of file systems.
 */

/** Where a work disk is while it is being made that will be at `path`. */
export function unfinishedWorkDisk(path: string): string {
  return `${path}.new`;
}

/** Where the superblock of ext4 is, and in it the time of the last mount and their number (ext4(5), kernel's ext4.h). */
const superblockAt = 1024;
const superblockBytes = 1024;
const mountedAt = 0x2c;
const mountCountAt = 0x34;
const magicAt = 0x38;
const magic = 0xef53;

/**
 * Whether there is a work disk at `path` that no guest has ever mounted, so that nothing is on it. What cannot be read as
 * one may be anything, and is none.
 */
export async function isUnusedWorkDisk(path: string): Promise<boolean> {
  try {
    if (!(await Deno.lstat(path)).isFile) return false;
    using file = await Deno.open(path);
    const bytes = new Uint8Array(superblockBytes);
    await file.seek(superblockAt, Deno.SeekMode.Start);
    for (let at = 0; at < bytes.length;) {
      const count = await file.read(bytes.subarray(at));
      if (count === null) return false;
      at += count;
    }
    const view = new DataView(bytes.buffer);
    return view.getUint16(magicAt, true) === magic &&
      view.getUint32(mountedAt, true) === 0 && view.getUint16(mountCountAt, true) === 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
