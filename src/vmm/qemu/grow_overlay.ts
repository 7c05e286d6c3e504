import { BangerError, isBangerError } from "../../model/errors.ts";
import { run } from "../../process/run.ts";

/** How long qemu-img may take; it writes a few KiB. */
const timeoutMs = 30_000;

/**
 * Makes the qcow2 overlay at `path` larger, to `sizeBytes` as the guest sees it. Nobody may have it open.
 *
 * A VMM that a guest has taken over may have written anything into its overlay, so nothing that a header
 * can name is opened: no backing file, and no external data file (which would be grown instead).
 *
 * @throws BangerError `precondition` (qemu-img is missing), `untrusted` (no plain overlay), `exhausted`,
 * `cancelled`, `internal`
 */
export async function growOverlay(
  path: string,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<void> {
  await assertPlain(path);
  const node = { driver: "qcow2", backing: null, file: { driver: "file", filename: path } };
  try {
    await run("qemu-img", ["resize", "-q", `json:${JSON.stringify(node)}`, String(sizeBytes)], {
      signal,
      timeoutMs,
    });
  } catch (cause) {
    if (isBangerError(cause) && /No space left/.test(cause.detail ?? "")) {
      throw new BangerError("exhausted", `Cannot make the disk "${path}" larger: no space left`, {
        hint: "Free some space, or delete VMs that are not needed: banger vm list",
        cause,
      });
    }
    throw cause;
  }
}

/** Bits of `incompatible_features`: only "dirty" may be set (QEMU's docs/interop/qcow2.rst). */
const allowedFeatures = 1n;

async function assertPlain(path: string): Promise<void> {
  using file = await Deno.open(path);
  const header = new Uint8Array(80);
  let length = 0;
  while (length < header.length) {
    const count = await file.read(header.subarray(length));
    if (count === null) break;
    length += count;
  }
  const view = new DataView(header.buffer);
  const isPlain = length === header.length && view.getUint32(0) === 0x514649fb &&
    view.getUint32(4) === 3 && (view.getBigUint64(72) & ~allowedFeatures) === 0n;
  if (isPlain) return;
  throw new BangerError(
    "untrusted",
    `Cannot make the disk "${path}" larger: no plain qcow2 overlay`,
    {
      hint: "The VM may have damaged it; what is in it can be looked at with qemu-img info",
    },
  );
}
