/**
 * Flattening in a process of its own: what the daemon asks for, what is answered, and the thread in there
 * that inflates. Whoever starts the process is not here. Must not import services or the daemon.
 */
import type { WireError } from "../../api/operation.ts";
import type { Digest } from "../../model/digest.ts";

/** An image to be written, in words that the broker checks and makes paths of. */
export interface FlattenJob {
  /** Name of a directory below the staging directory; the image is made in there. */
  readonly staging: string;
  /** File name of the image in there. */
  readonly file: string;
  readonly purpose: FlattenPurpose;
  /** The lowest first. One need not be in the blob store yet: it is read while it comes. */
  readonly layers: readonly FlattenLayer[];
  /** Virtual size of the file system in bytes. */
  readonly sizeBytes: number;
  /** 32 hexadecimal digits. */
  readonly uuid: string;
  /** Time of the file system since the epoch; whole seconds. */
  readonly madeSeconds: number;
}

/** A layer by the digest of what is stored, and of the tar inside. */
export interface FlattenLayer {
  readonly digest: Digest;
  readonly diffId: Digest;
  /** Bytes as stored. */
  readonly size: number;
}

/** The job as the process gets it, on its standard input. */
export interface FlattenOrder extends Omit<FlattenJob, "staging" | "file" | "layers"> {
  /** Path of the image, which must not exist. */
  readonly out: string;
  readonly layers: readonly (FlattenLayer & LayerFile)[];
}

/** Where a layer is. */
export interface LayerFile {
  /** Once all of it is there and its digest was checked. */
  readonly path: string;
  /** While it comes. */
  readonly partPath: string;
  readonly size: number;
}

/** A line of the process's standard output. The last one is `done` or `failed`. */
export type FlattenAnswer =
  | { readonly type: "progress"; readonly layer: number; readonly storedBytes: number }
  /** It still works, or waits for a layer. */
  | { readonly type: "alive" }
  /** Bytes that the file system counts as used. */
  | { readonly type: "done"; readonly usedBytes: number; readonly inodes: number }
  | { readonly type: "failed"; readonly error: WireError };

/** How often the process says something, at least. */
export const aliveEveryMs = 1000;
/** A process that says nothing for so long is given up: a write to a slow disk may block it. */
export const silenceMs = 120_000;
/** What is made: a guest's root file system, or a work disk, whose directory `home` the layers are. */
export type FlattenPurpose = "rootfs" | "work_disk";

/** Name of the file system, and the directory below its root that the layers are. */
export const purposes: Readonly<
  Record<FlattenPurpose, { readonly label: string; readonly directory?: string }>
> = {
  rootfs: { label: "banger-root" },
  work_disk: { label: "banger-work", directory: "home" },
};
