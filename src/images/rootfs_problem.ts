/** How much of a file {@linkcode rootfsProblem} looks at: up to the end of the superblock. */
export const headBytes = 2048;

/** Why a file is no root disk, and what to do about it. */
export interface RootfsProblem {
  readonly state: string;
  readonly hint?: string;
}

const superblockAt = 1024;
const extMagic = 0xef53;
/** Bits of `s_feature_incompat`. */
const journalDevice = 0x8;
const has64Bit = 0x80;

const toRaw =
  "Convert it: qemu-img convert -O raw DISK FILE, and then take its partition's file system";

/** What people have instead, by its first bytes. */
const others: readonly (readonly [at: number, magic: string, state: string, hint?: string])[] = [
  [0, "QFI\xfb", "it is a qcow2 image", toRaw],
  [0, "KDMV", "it is a VMDK image", toRaw],
  [0, "vhdxfile", "it is a VHDX image", toRaw],
  [0, "hsqs", "it is a SquashFS file system"],
  [0, "XFSB", "it is an XFS file system"],
  [0, "\x1f\x8b", "it is compressed", "Uncompress it: gunzip"],
  [0, "\x28\xb5\x2f\xfd", "it is compressed", "Uncompress it: unzstd"],
  [0, "\xfd7zXZ", "it is compressed", "Uncompress it: unxz"],
  [
    257,
    "ustar",
    "it is a tar archive",
    "For an archive of docker save: banger image pull docker-archive:FILE",
  ],
  [
    512,
    "EFI PART",
    "it is a whole disk with partitions",
    "Take out the partition with the root file system",
  ],
  [
    510,
    "\x55\xaa",
    "it is a whole disk with partitions",
    "Take out the partition with the root file system",
  ],
];

/**
 * What is wrong with an ext4 (ext3, ext2) file system, as far as its superblock tells; `undefined`
 * when nothing is.
 *
 * @param head the first {@linkcode headBytes} of the file, or all of a shorter one
 */
export function rootfsProblem(head: Uint8Array, fileBytes: number): RootfsProblem | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (head.length === headBytes && view.getUint16(superblockAt + 0x38, true) === extMagic) {
    return superblockProblem(new DataView(head.buffer, head.byteOffset + superblockAt), fileBytes);
  }
  const other = others.find(([at, magic]) => textAt(head, at, magic.length) === magic);
  if (other === undefined) return { state: "it has no ext4 file system" };
  const [, , state, hint] = other;
  return hint === undefined ? { state } : { state, hint };
}

function superblockProblem(superblock: DataView, fileBytes: number): RootfsProblem | undefined {
  const get32 = (at: number) => superblock.getUint32(at, true);
  const features = get32(0x60);
  const blockBits = 10 + get32(0x18);
  const counts = [0x00, 0x04, 0x20, 0x28].map(get32);
  if ((features & journalDevice) !== 0) return { state: "it is the journal of a file system" };
  if (blockBits > 16 || counts.includes(0)) {
    return { state: "the superblock of its ext4 file system is damaged" };
  }
  const high = (features & has64Bit) === 0 ? 0 : get32(0x150);
  const needed = (high * 2 ** 32 + get32(0x04)) * 2 ** blockBits;
  if (needed <= fileBytes) return undefined;
  return { state: `it is cut off: its file system has ${needed} bytes, the file ${fileBytes}` };
}

function textAt(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}
