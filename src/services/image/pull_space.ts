import { checkSpace, freeBytes } from "../../images/disk_space.ts";

/** What a pull will write, as far as it is known before the first byte. */
export interface PullSpace {
  /** What is pulled, for errors. */
  readonly label: string;
  /** Where layers are kept, and where the file system is made. */
  readonly blobsDir: string;
  readonly stagingDir: string;
  /** Bytes of the layers that are not here. */
  readonly missingBytes: number;
  /** Bytes of all layers, as they are stored. */
  readonly layerBytes: number;
}

/** File systems of programs become 2 to 4 times as large when inflated. */
const usualGrowth = 3;

/**
 * Refuses a pull that cannot succeed, before it starts: there must be room for the layers that are
 * missing, and for a file system that is no larger than the layers are. How much they become when inflated
 * nobody knows before (their registry does not tell); room for what is usual is only asked for with a notice.
 *
 * @throws BangerError `exhausted` (NO_SPACE)
 */
export async function checkPullSpace(
  { label, blobsDir, stagingDir, missingBytes, layerBytes }: PullSpace,
  notice: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const what = `pull image "${label}"`;
  const [blobs, staging] = await Promise.all([blobsDir, stagingDir].map((dir) => Deno.stat(dir)));
  const isOneDisk = blobs?.dev === staging?.dev;
  if (!isOneDisk) await checkSpace(what, blobsDir, missingBytes, signal);
  const alsoThere = isOneDisk ? missingBytes : 0;
  await checkSpace(what, stagingDir, alsoThere + layerBytes, signal);
  const usual = alsoThere + usualGrowth * layerBytes;
  const free = await freeBytes(stagingDir, signal);
  if (free >= usual) return;
  const gib = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
  notice(
    `Image "${label}" may not fit: images of its size often take ${gib(usual)}, ` +
      `and "${stagingDir}" has ${gib(free)} free`,
  );
}
