/** Bounds on what an image may ask of this host. */
export interface LayerLimits {
  /** Tar headers in all layers together. */
  readonly entries: number;
  /** Bytes of all layers together when inflated. */
  readonly inflatedBytes: number;
  /** Inflated for compressed bytes, once {@linkcode LayerLimits.ratioFromBytes} are inflated. */
  readonly ratio: number;
  readonly ratioFromBytes: number;
  /** Directories above an entry. */
  readonly depth: number;
  /** Bytes of names, link targets and extended attributes of all entries together. */
  readonly metadataBytes: number;
  /** Bytes of one extended header: a long name, pax records. */
  readonly headerBytes: number;
  /** Data segments of one sparse file. */
  readonly sparseSegments: number;
  /** Names looked up on the way through directories and symlinks, in all layers together. */
  readonly lookups: number;
}

/** The bounds unless the caller has others. */
export const defaultLimits: LayerLimits = {
  // Large images have up to 300,000 files; an index of 600,000 takes about 200 MiB.
  entries: 600_000,
  inflatedBytes: 64 * 1024 ** 3,
  // Deflate makes at most 1,032 times as much of zeros; file systems of programs reach 10.
  ratio: 200,
  // A sparse disk image of a gigabyte or two that someone packed as a plain file may pass.
  ratioFromBytes: 3 * 1024 ** 3,
  // PATH_MAX of 4,096 bytes allows 2,048; what programs can still open from the root.
  depth: 2048,
  // Kept in memory until the image is written.
  metadataBytes: 96 * 1024 ** 2,
  // As Go's archive/tar, which containerd and umoci read layers with.
  headerBytes: 1024 ** 2,
  sparseSegments: 262_144,
  // 600,000 entries in directories 50 deep.
  lookups: 30_000_000,
};

/** As the kernel: more symlinks in one path are a loop. */
export const maxSymlinks = 40;
/** As the kernel's PATH_MAX, without the end mark. */
export const maxPathBytes = 4095;
