/**
 * The bytes of a local image, for whoever must not open paths of the user's. A name is not a path:
 * only the names below exist, and whoever has the files maps them onto what the user named.
 *
 * Source `oci:DIR`: `oci-layout`, `index.json`, `blobs/sha256/HEX`, `blobs/sha512/HEX` in DIR.
 * Source `docker-archive:FILE`: `archive`, which is FILE.
 */
export interface LocalBytes {
  /** Bytes of the regular file `name`; `undefined` when there is none. */
  size(name: string, signal: AbortSignal): Promise<number | undefined>;
  /**
   * At most `length` bytes of `name` from `offset` on; fewer only when it ends there. A chunk is
   * valid until the next one is asked for.
   */
  read(
    name: string,
    range: { readonly offset: number; readonly length: number },
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array>;
}

/** The one name of a {@linkcode LocalBytes} that is a file. */
export const archiveName = "archive";

const layoutName =
  /^(?:oci-layout|index\.json|blobs\/(?:sha256\/[0-9a-f]{64}|sha512\/[0-9a-f]{128}))$/;

/** Whether `name` is one of an image layout. */
export function isLayoutName(name: string): boolean {
  return layoutName.test(name);
}
