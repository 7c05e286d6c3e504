/**
 * Building blocks for images: the recipes of what banger builds from the Debian archive, and the
 * build of a recipe into one ext4 file.
 *
 * Owns: package lists, the files put into an image, the build in its own namespaces, staging and
 * publication on disk. Knows nothing of the store or of operations; must not import a service.
 */

/** What an image is made of. Constants of banger; nothing in it comes from outside. */
export interface ImageRecipe {
  /** The image's name. */
  readonly name: string;
  /** Suite of the Debian archive. */
  readonly suite: string;
  /** Added to Debian's `minbase`, without their recommends. */
  readonly packages: readonly string[];
  /** systemd units that never start in it. */
  readonly maskedUnits: readonly string[];
  /** systemd generators that never run in it; each is a program that every boot waits for. */
  readonly maskedGenerators: readonly string[];
  /** Written after the packages, owned by root. */
  readonly files: readonly ImageFile[];
  /** Absolute paths removed at the end: what the build copied from the host. */
  readonly removed: readonly string[];
  /** Absolute paths emptied at the end. */
  readonly emptied: readonly string[];
  /** Size of its file system as the guest sees it, in bytes. */
  readonly virtualBytes: number;
  /** With this much memory available, in MiB, the tree is built in memory. */
  readonly treeInMemoryFromMib: number;
  /** What a build takes on the host's disk at its highest, in bytes. */
  readonly neededBytes: number;
  /** The kernel that its VMs boot unless told otherwise. */
  readonly kernel: string;
}

/** One file of an image. */
export interface ImageFile {
  /** Absolute, of letters, digits, `.`, `_`, `-` and `/` only. */
  readonly path: string;
  readonly mode: 0o644 | 0o755;
  readonly text: string;
}
