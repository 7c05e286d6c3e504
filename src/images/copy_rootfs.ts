import { createHash } from "node:crypto";
import { BangerError, isBangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";
import { noSpace } from "./disk_space.ts";

/** Bytes that are done, and of all. */
type Progress = (done: number, total: number) => void;

const lookEveryMs = 200;
/** For each started GiB: a slow disk of a laptop, and a busy one. */
const msPerGib = 5 * 60_000;

/**
 * Copies a root disk with cp(1), by reference where the file system can, and with its holes. The
 * program opens `from` with the user's rights, wherever it is.
 *
 * @param diskBytes what `from` takes on the disk
 * @throws BangerError `precondition`, `exhausted` (NO_SPACE), `cancelled`, `timeout`
 */
export async function copyRootfs(
  from: string,
  to: string,
  diskBytes: number,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const timer = setInterval(() => void allocatedBytes(to).then(shown, () => {}), lookEveryMs);
  const shown = (bytes: number) => progress(Math.min(bytes, diskBytes), diskBytes);
  try {
    await run("cp", ["--reflink=auto", "--sparse=always", "--no-dereference", "--", from, to], {
      signal,
      timeoutMs: Math.ceil((diskBytes + 1) / 1024 ** 3) * msPerGib,
    });
    shown(diskBytes);
  } catch (error) {
    if (!isBangerError(error, "internal")) throw error;
    const dir = to.slice(0, to.lastIndexOf("/"));
    if (/No space left|Disk quota/.test(error.detail ?? "")) {
      throw noSpace(`copy "${from}"`, dir, diskBytes, null, error);
    }
    throw new BangerError("precondition", `Cannot copy "${from}": cp has failed`, {
      hint: "Check that your user may read it",
      ...(error.detail === undefined ? {} : { detail: error.detail }),
      cause: error,
    });
  } finally {
    clearInterval(timer);
  }
}

/** `sha256:…` of a file, holes read as zeros: what sha256sum(1) says. */
export async function digestOfFile(
  path: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(1024 ** 2);
  using file = await Deno.open(path, { read: true });
  const { size } = await file.stat();
  for (let done = 0;;) {
    signal.throwIfAborted();
    const count = await file.read(buffer);
    if (count === null) break;
    hash.update(buffer.subarray(0, count));
    done += count;
    progress(done, size);
  }
  return `sha256:${hash.digest("hex")}`;
}

/** What a file takes on the disk. */
export async function allocatedBytes(path: string): Promise<number> {
  const { blocks, size } = await Deno.lstat(path);
  return blocks === null ? size : blocks * 512;
}
