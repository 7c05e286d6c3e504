import { BangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";
import { unpackLz4Legacy } from "./lz4_legacy.ts";

const maxPlainBytes = 512 * 1024 * 1024;
const bootFlagOffset = 0x1fe;
const headerMagicOffset = 0x202;
const setupSectorsOffset = 0x1f1;
const protocolOffset = 0x206;
const payloadOffsetOffset = 0x248;
const payloadLengthOffset = 0x24c;
const arm64MagicOffset = 56;
const unpackTimeoutMs = 60_000;

/** First bytes of each form in which a kernel may be packed. */
const forms: readonly { readonly start: readonly number[]; readonly program: string | null }[] = [
  { start: [0x02, 0x21, 0x4c, 0x18], program: null },
  { start: [0x1f, 0x8b], program: "gzip" },
  { start: [0xfd, 0x37, 0x7a, 0x58, 0x5a], program: "xz" },
  { start: [0x28, 0xb5, 0x2f, 0xfd], program: "zstd" },
];

/**
 * The uncompressed kernel of a boot image: the ELF file in a bzImage's payload (Linux,
 * Documentation/x86/boot.rst, `payload_offset`; protocol 2.08 or newer), or an arm64 Image as it is
 * (Documentation/arm64/booting.rst). Direct boot of it saves the guest its own unpacking.
 *
 * @throws BangerError `untrusted` when it is damaged or of an unknown form
 */
export async function extractVmlinux(
  image: Uint8Array,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Uint8Array> {
  if (latin1(image, arm64MagicOffset, 4) === "ARM\x64") return image;
  if (image.length < 0x250 || latin1(image, headerMagicOffset, 4) !== "HdrS") {
    throw refuse("it is neither a bzImage nor an arm64 Image");
  }
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  if (view.getUint16(bootFlagOffset, true) !== 0xaa55) throw refuse("its boot flag is missing");
  if (view.getUint16(protocolOffset, true) < 0x208) throw refuse("its boot protocol is too old");
  const setupSectors = view.getUint8(setupSectorsOffset) || 4;
  const start = (setupSectors + 1) * 512 + view.getUint32(payloadOffsetOffset, true);
  const length = view.getUint32(payloadLengthOffset, true);
  if (length < 16 || start + length > image.length) throw refuse("its payload ends behind it");
  const plain = await unpack(image.subarray(start, start + length), options.signal);
  if (latin1(plain, 0, 4) !== "\x7fELF") throw refuse("its payload is not an ELF file");
  return plain;
}

/** The last four bytes tell the plain size: the build appends it, and gzip ends with it by itself. */
async function unpack(payload: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const form = forms.find(({ start }) => start.every((byte, index) => payload[index] === byte));
  if (form === undefined) throw refuse("its payload is packed in an unknown form");
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const plainBytes = view.getUint32(payload.length - 4, true);
  if (plainBytes > maxPlainBytes) throw refuse("it is too large");
  const packed = form.program === "gzip" ? payload : payload.subarray(0, payload.length - 4);
  if (form.program === null) return unpackLz4Legacy(packed, plainBytes);
  const { stdout } = await run(form.program, ["-dc"], {
    stdin: packed,
    maxStdoutBytes: plainBytes,
    timeoutMs: unpackTimeoutMs,
    ...(signal === undefined ? {} : { signal }),
  });
  if (stdout.length !== plainBytes) throw refuse("it unpacks to another size than it says");
  return stdout;
}

function latin1(bytes: Uint8Array, start: number, length: number): string {
  return new TextDecoder("latin1").decode(bytes.subarray(start, start + length));
}

function refuse(why: string): BangerError {
  return new BangerError("untrusted", `Cannot use the kernel image: ${why}`);
}
