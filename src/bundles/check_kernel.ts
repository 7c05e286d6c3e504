import { bundleFault } from "./bundle_fault.ts";

const elfHeaderBytes = 64;
const programHeaderBytes = 56;
const maxProgramHeaders = 64;
const machineX86 = 62;
const typeExecutable = 2;
const segmentLoad = 1;
const arm64MagicOffset = 56;

/** Code of the refusal of a kernel that cannot be one. */
export const notAKernelCode = "NOT_A_KERNEL";

/**
 * Checks that a file is what the VMMs boot: on x86_64 a 64-bit ELF program (ELF-64 Object File
 * Format, 1.5) whose segments are all in the file and one of which holds the entry point; on aarch64
 * an Image (Linux, Documentation/arm64/booting.rst).
 *
 * @param label how errors name the bundle
 * @param member how errors name the file
 * @throws BangerError `untrusted` with the rule
 */
export async function checkKernel(
  path: string,
  arch: "x86_64" | "aarch64",
  label: string,
  member: string,
): Promise<void> {
  using file = await Deno.open(path, { read: true });
  const { size } = await file.stat();
  const head = await readAt(file, 0, elfHeaderBytes);
  const why = arch === "aarch64" ? imageProblem(head) : await elfProblem(file, head, size);
  if (why !== undefined) {
    throw bundleFault(label, member, `it is not a kernel: ${why}`, { code: notAKernelCode });
  }
}

function imageProblem(head: Uint8Array): string | undefined {
  if (head.length < elfHeaderBytes) return "it is too short";
  const magic = String.fromCharCode(...head.subarray(arm64MagicOffset, arm64MagicOffset + 4));
  return magic === "ARM\x64" ? undefined : "it is not an arm64 Image";
}

async function elfProblem(
  file: Deno.FsFile,
  head: Uint8Array,
  size: number,
): Promise<string | undefined> {
  if (head.length < elfHeaderBytes) return "it is too short";
  // \x7fELF, 64-bit, little-endian, version 1.
  const identity = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1];
  if (!identity.every((byte, index) => head[index] === byte)) return "it is not a 64-bit ELF file";
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (view.getUint16(16, true) !== typeExecutable) return "it is not a program";
  if (view.getUint16(18, true) !== machineX86) return "it is for another processor";
  const entry = view.getBigUint64(24, true);
  const table = view.getBigUint64(32, true);
  const count = view.getUint16(56, true);
  if (view.getUint16(54, true) !== programHeaderBytes) return "its program headers are damaged";
  if (count < 1 || count > maxProgramHeaders) return "it has no segments, or too many";
  if (table + BigInt(count * programHeaderBytes) > BigInt(size)) {
    return "its program headers are cut off";
  }
  const bytes = await readAt(file, Number(table), count * programHeaderBytes);
  if (bytes.length < count * programHeaderBytes) return "its program headers are cut off";
  return segmentsProblem(bytes, count, entry, BigInt(size));
}

function segmentsProblem(
  bytes: Uint8Array,
  count: number,
  entry: bigint,
  size: bigint,
): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let holdsEntry = false;
  for (let index = 0; index < count; index++) {
    const at = index * programHeaderBytes;
    if (view.getUint32(at, true) !== segmentLoad) continue;
    const field = (offset: number) => view.getBigUint64(at + offset, true);
    const [offset, virtual, physical, inFile] = [field(8), field(16), field(24), field(32)];
    if (offset + inFile > size) return "a segment is cut off";
    const holds = (start: bigint) => entry >= start && entry < start + inFile;
    // A kernel's entry point is a physical address; a loader without paging starts there.
    holdsEntry ||= holds(physical) || holds(virtual);
  }
  return holdsEntry ? undefined : "its entry point is in no segment";
}

async function readAt(file: Deno.FsFile, offset: number, bytes: number): Promise<Uint8Array> {
  await file.seek(offset, Deno.SeekMode.Start);
  const all = new Uint8Array(bytes);
  let filled = 0;
  while (filled < bytes) {
    const count = await file.read(all.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return all.subarray(0, filled);
}
