/** Bytes of a block; the page size of the guests, and the only one that this writer makes. */
export const blockBytes = 4096;
export const blocksPerGroup = 32768;
/** Groups whose bitmaps and inode tables lie together (flex_bg). */
export const groupsPerFlex = 16;
export const inodeBytes = 256;
export const inodesPerBlock = blockBytes / inodeBytes;
/** Bytes of a group's descriptor, with the 64bit feature. */
export const descriptorBytes = 64;
/** Bytes of a checksum behind the entries of a directory's block. */
export const directoryTailBytes = 12;

export const rootInode = 2;
export const resizeInode = 7;
export const journalInode = 8;
/** The first that is not reserved; it is `lost+found`. */
export const firstInode = 11;

/** No inode has more names; a directory with more subdirectories has the link count 1. */
export const maxLinks = 65000;
export const maxNameBytes = 255;
/** A longer target would not fit the block that the kernel reads. */
export const maxLinkTargetBytes = blockBytes - 1;
/** A file's blocks are numbered with 32 bits. */
export const maxFileBytes = (2 ** 32 - 1) * blockBytes;

/** Bits of `st_mode` for each type, and the type's number in a directory entry. */
export const inodeTypes = {
  file: { mode: 0o100000, entry: 1 },
  directory: { mode: 0o040000, entry: 2 },
  character: { mode: 0o020000, entry: 3 },
  block: { mode: 0o060000, entry: 4 },
  fifo: { mode: 0o010000, entry: 5 },
  socket: { mode: 0o140000, entry: 6 },
  symlink: { mode: 0o120000, entry: 7 },
} as const;

/** Extents, an indexed directory: flags of an inode. */
export const inodeFlags = { extents: 0x80000, indexed: 0x1000 } as const;

/** What kernel 6.1 and e2fsprogs 1.47 know, and what banger's other images are made with. */
export const features = {
  /** has_journal, ext_attr, resize_inode, dir_index. */
  compatible: 0x4 | 0x8 | 0x10 | 0x20,
  /** filetype, extent, 64bit, flex_bg. */
  incompatible: 0x2 | 0x40 | 0x80 | 0x200,
  /** sparse_super, large_file, huge_file, dir_nlink, extra_isize, metadata_csum. */
  readOnlyCompatible: 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x400,
} as const;
