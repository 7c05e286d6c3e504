import { removeIfThere } from "../files/remove_if_there.ts";
import { bytesOf } from "../ext4/byte_string.ts";
import { Ext4Writer } from "../ext4/ext4_writer.ts";
import { ImageFile } from "../ext4/image_file.ts";
import { Inode } from "../ext4/inode.ts";
import { BangerError, reasonOf } from "../model/errors.ts";
import { allocatedBytes, copyRootfs } from "./copy_rootfs.ts";
import { unfinishedWorkDisk } from "./left_work_disk.ts";

/** A work disk to make. */
export interface WorkDiskSpec {
  readonly path: string;
  /** A multiple of 512. */
  readonly sizeBytes: number;
  /** 32 random hexadecimal digits. */
  readonly uuid: string;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
}

/** Name of the file systems of work disks. */
export const workDiskLabel = "banger-work";

/** The units of /sys/block/DISK/size, whatever the disk's own are. */
const sectorBytes = 512;

/** Of a larger disk the guest makes the rest: that of a few TiB would hold up the daemon for seconds. */
const mostMadeHereBytes = 64 * 1024 ** 3;

/**
 * Makes a new work disk, an ext4 file system as large as its file, if that is not huge: the guest copies the home directory of
 * its image onto it. What it takes on the disk is less than a MiB. It has its name only when it is whole.
 *
 * @throws BangerError `exhausted` when there is no space
 */
export async function makeWorkDisk(spec: WorkDiskSpec): Promise<void> {
  const temporary = unfinishedWorkDisk(spec.path);
  await removeIfThere(temporary);
  try {
    const made = { seconds: Math.floor(spec.nowMs / 1000), nanoseconds: 0 };
    const sizeBytes = Math.min(spec.sizeBytes, mostMadeHereBytes);
    using file = ImageFile.create(temporary, spec.sizeBytes);
    const writer = new Ext4Writer(file, {
      sizeBytes,
      uuid: Uint8Array.fromHex(spec.uuid),
      label: workDiskLabel,
      made,
    });
    // As `src/guest/kit_work_disk.ts` has it: the guest need not look whether the file system is to grow.
    const text = bytesOf(`${sizeBytes / sectorBytes}\n`);
    writer.contents.begin(text.length);
    writer.contents.write(text, 0);
    const attributes = { uid: 0, gid: 0, mtime: made, xattrs: [] };
    const sectors = new Inode({ ...attributes, mode: 0o644 }, {
      type: "file",
      content: writer.contents.end(),
    });
    await writer.finish(
      new Inode({ ...attributes, mode: 0o700 }, {
        type: "directory",
        children: new Map([["sectors", sectors]]),
      }),
    );
    await Deno.rename(temporary, spec.path);
  } catch (error) {
    await removeIfThere(temporary);
    throw error;
  }
}

/**
 * Makes a new work disk of an image's seed: a copy, by reference where the host's file system can, so that it is the
 * VM's own from then on. Its file system grows at the first start.
 *
 * @throws BangerError `exhausted` when there is no space, `precondition` when the seed is gone, `cancelled`
 */
export async function copyWorkSeed(
  seedPath: string,
  { path, sizeBytes }: Pick<WorkDiskSpec, "path" | "sizeBytes">,
  signal: AbortSignal,
): Promise<void> {
  const temporary = unfinishedWorkDisk(path);
  await removeIfThere(temporary);
  try {
    const bytes = await allocatedBytes(seedPath).catch((cause) => {
      const state = `the seed "${seedPath}" of its image cannot be read`;
      throw new BangerError("precondition", `Cannot make a work disk: ${state}`, { cause });
    });
    await copyRootfs(seedPath, temporary, bytes, () => {}, signal);
    await Deno.chmod(temporary, 0o600);
    await Deno.truncate(temporary, sizeBytes);
    await Deno.rename(temporary, path);
  } catch (error) {
    await removeIfThere(temporary);
    throw error;
  }
}

/**
 * Makes a work disk larger that no VMM has open; its file system grows at the next start. No byte of it is
 * looked at.
 *
 * @throws BangerError `precondition` when it is missing
 */
export async function growWorkDisk(path: string, sizeBytes: number): Promise<void> {
  try {
    const { size } = await Deno.lstat(path);
    if (size < sizeBytes) await Deno.truncate(path, sizeBytes);
  } catch (cause) {
    throw new BangerError(
      "precondition",
      `Cannot make the disk "${path}" larger: ${reasonOf(cause)}`,
      { cause },
    );
  }
}
