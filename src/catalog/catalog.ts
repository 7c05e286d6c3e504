/**
 * The catalog: a list of what can be pulled ready-made, each with its hash, size and signer, and the
 * ways from an entry to a file that is exactly what a pinned key has signed.
 *
 * Owns: the catalog's format, which addresses may be asked, bounded and resumed transfers, detached
 * signatures. Knows nothing of what is in a bundle; must not import one.
 */

/** Format of a catalog that this version reads and writes. */
export const catalogFormat = 1;

/** What an entry leads to: an image with its whole boot set, or a kernel alone. */
export type CatalogKind = "image" | "kernel";

/** One thing that can be pulled. */
export interface CatalogEntry {
  readonly kind: CatalogKind;
  readonly name: string;
  readonly arch: "x86_64" | "aarch64";
  /** Absolute address of the bundle. */
  readonly url: string;
  /** Of the bundle, in lower-case hexadecimal. */
  readonly sha256: string;
  /** Of the bundle, in bytes. */
  readonly size: number;
  /** Absolute address of the detached OpenPGP signature over the bundle. */
  readonly signatureUrl: string;
  /** Fingerprint of the primary key that has signed it, in upper-case hexadecimal. */
  readonly signer: string;
}

/** A catalog that was checked. */
export interface Catalog {
  /** Where it came from, for messages: an address, a path, or `the built-in catalog`. */
  readonly source: string;
  readonly entries: readonly CatalogEntry[];
}

/** Whose signatures count. */
export interface CatalogTrust {
  /** Fingerprints of primary keys, in upper-case hexadecimal. */
  readonly fingerprints: readonly string[];
  /** A keyring, binary or armoured, in which those keys are; other keys in it do not count. */
  readonly keyring: Uint8Array;
}

/** Whether `text` is a fingerprint of an OpenPGP key (version 4 or 6) in upper-case hexadecimal. */
export function isFingerprint(text: string): boolean {
  return /^([0-9A-F]{40}|[0-9A-F]{64})$/.test(text);
}

/** The entry for `name` on this architecture; `undefined` when there is none. */
export function findEntry(
  catalog: Catalog,
  wanted: Pick<CatalogEntry, "kind" | "name" | "arch">,
): CatalogEntry | undefined {
  return catalog.entries.find(({ kind, name, arch }) =>
    kind === wanted.kind && name === wanted.name && arch === wanted.arch
  );
}
