import { removeIfThere } from "../../files/remove_if_there.ts";
import { BangerError, isBangerError } from "../../model/errors.ts";
import { run } from "../../process/run.ts";

/** How long qemu-img may take; it writes a few hundred KiB. */
const timeoutMs = 30_000;

/** A system disk to make. Paths are absolute. */
export interface OverlaySpec {
  readonly path: string;
  /** Raw image below it; only named in the overlay, never changed. */
  readonly backingPath: string;
  /** Size that the guest sees, in bytes; at least the image's. */
  readonly sizeBytes: number;
}

/**
 * Makes a qcow2 overlay over a raw image. The overlay appears under its name only when it is whole.
 *
 * @throws BangerError `precondition` (qemu-img is missing), `exhausted` (no space), `cancelled`,
 * `internal`
 */
export async function createOverlay(spec: OverlaySpec, signal: AbortSignal): Promise<void> {
  const temporary = `${spec.path}.new`;
  const options = [
    `backing_file=${escaped(spec.backingPath)}`,
    "backing_fmt=raw",
    // One lookup table entry for each 64 KiB; lazy refcounts are not needed: a dirty overlay of a
    // host crash is repaired by QEMU when it opens it.
    "cluster_size=65536",
    "extended_l2=off",
  ].join(",");
  try {
    await run("qemu-img", [
      "create",
      "-q",
      "-f",
      "qcow2",
      "-o",
      options,
      "--",
      temporary,
      String(spec.sizeBytes),
    ], { signal, timeoutMs });
    await Deno.rename(temporary, spec.path);
  } catch (cause) {
    await removeIfThere(temporary);
    if (isBangerError(cause) && /No space left/.test(cause.detail ?? "")) {
      throw new BangerError("exhausted", `Cannot make the disk "${spec.path}": no space left`, {
        hint: "Free some space, or delete VMs that are not needed: banger vm list",
        cause,
      });
    }
    throw cause;
  }
}

/** In `-o`, a comma in a value is written twice. */
function escaped(value: string): string {
  return value.replaceAll(",", ",,");
}
