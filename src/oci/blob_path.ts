import { type Digest, digestParts } from "../model/digest.ts";

/** Where a blob is, or will be, below the directory `dir` of a blob store. */
export function blobPath(dir: string, digest: Digest): string {
  const { algorithm, hex } = digestParts(digest);
  return `${dir}/${algorithm}/${hex}`;
}

/** Ending of the file that a download under way, or one that broke off, has. */
export const partSuffix = ".part";

/** Where what came so far of a blob is; it becomes the blob by a rename. */
export function blobPartPath(dir: string, digest: Digest): string {
  return `${blobPath(dir, digest)}${partSuffix}`;
}
