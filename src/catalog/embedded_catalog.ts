import type { CatalogTrust } from "./catalog.ts";

/** The catalog of a banger that is configured with no other. Nothing is published yet. */
export const embeddedCatalog = '{ "format": 1, "entries": [] }';

/** Whose signatures count for it. */
export const embeddedTrust: CatalogTrust = { fingerprints: [], keyring: new Uint8Array(0) };
