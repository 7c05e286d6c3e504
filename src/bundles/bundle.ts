/**
 * Bundles: an image with its whole boot set, or a kernel, as one file.
 *
 * A bundle is a tar archive, compressed by zstd (any number of frames, windows of up to 32 MiB). Its
 * members have fixed names and come in a fixed order: first {@linkcode metadataName}, which lists all
 * others with sizes and hashes, then those. Headers have one canonical form (`tar_headers.ts`): there
 * is nothing in them to choose, so nothing to lie about. Holes of file systems travel as GNU tar's
 * sparse format 1.0, so that `tar --zstd -x` unpacks a bundle too.
 *
 * Owns: the format, its writer and its reader, and the pull of a catalog's entry into a staging
 * directory. Must not import images or kernels: what it needs of them is given to it.
 */
import type { CatalogKind } from "../catalog/catalog.ts";

/** Format of a bundle that this version reads and writes. */
export const bundleFormat = 1;

/** The first member. */
export const metadataName = "banger-bundle.json";

/** Members besides the metadata, in their order. There are no others. */
export const memberNames = [
  /** The image's root file system. */
  "rootfs.ext4",
  /** The kernel, ready for direct boot: an ELF file, or an arm64 Image. */
  "vmlinux",
  /** The kernel as it is installed on x86; `vmlinux` is taken out of it. */
  "bzImage",
  "initrd.img",
  /** Read-only file system with the tree of `/lib/modules/VERSION`. */
  "modules.ext4",
  /** What a fresh work disk begins with. */
  "work-seed.tar",
  /** The guest kit. */
  "kit.ext4",
] as const;

/** One of {@linkcode memberNames}. */
export type MemberName = typeof memberNames[number];

const mib = 1024 ** 2;
const gib = 1024 ** 3;

/** Largest metadata, in bytes. */
export const maxMetadataBytes = 64 * 1024;

/** Largest size of each member once it is unpacked, in bytes, holes included. */
export const maxMemberBytes: Readonly<Record<MemberName, number>> = {
  "rootfs.ext4": 1024 * gib,
  vmlinux: 512 * mib,
  bzImage: 128 * mib,
  "initrd.img": 512 * mib,
  "modules.ext4": 4 * gib,
  "work-seed.tar": 16 * gib,
  "kit.ext4": 2 * gib,
};

/** Most bytes that all members take in the archive: what a bundle can fill a disk with. */
export const maxStoredBytes = 128 * gib;

/** Members that a kind of bundle may have, and those that it must have (besides a kernel). */
export const membersOfKind: Readonly<
  Record<CatalogKind, { readonly may: readonly MemberName[]; readonly must: readonly MemberName[] }>
> = {
  image: { may: memberNames, must: ["rootfs.ext4"] },
  kernel: { may: ["vmlinux", "bzImage", "initrd.img", "modules.ext4"], must: [] },
};

/** The two forms of a kernel; a bundle has exactly one. */
export const kernelMembers: readonly MemberName[] = ["vmlinux", "bzImage"];

/** Whether a member may have holes: file systems, of which most is empty. */
export function maySparse(name: MemberName): boolean {
  return name.endsWith(".ext4");
}

/** What the metadata says about a member. */
export interface BundleMember {
  readonly name: MemberName;
  /** Once unpacked, in bytes, holes included. */
  readonly size: number;
  /** In the archive, in bytes: as `size`, or a map of the data and the data without the holes. */
  readonly storedSize: number;
  /** Whether holes are left out, by a map. */
  readonly sparse: boolean;
  /** Over the stored bytes, in lower-case hexadecimal. */
  readonly sha256: string;
}

/** What a bundle says about itself. */
export interface BundleMetadata {
  readonly format: typeof bundleFormat;
  readonly kind: CatalogKind;
  readonly name: string;
  readonly arch: "x86_64" | "aarch64";
  readonly kernel: {
    /** The name under which it is published. */
    readonly name: string;
    /** What `uname -r` says in the guest. */
    readonly version: string;
    /** Words that it needs on its command line besides banger's own. */
    readonly commandLine: readonly string[];
  };
  /** Size of the root file system as the guest sees it, in bytes; `null` for a kernel. */
  readonly virtualSize: number | null;
  /** The key of what `kit.ext4` was made of: it is of use to a banger whose kit has the same. `null` without one. */
  readonly kitKey: string | null;
  /** When it was made, in milliseconds since the epoch. */
  readonly createdAtMs: number;
  /** In the order of the archive. */
  readonly members: readonly BundleMember[];
}
