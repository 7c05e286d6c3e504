import { BangerError, reasonOf } from "../model/errors.ts";
import type { Catalog, CatalogTrust } from "./catalog.ts";
import { embeddedCatalog, embeddedTrust } from "./embedded_catalog.ts";
import { fetchBytes } from "./fetch_bytes.ts";
import { maxCatalogBytes, parseCatalog } from "./parse_catalog.ts";
import type { TransferOptions } from "./transfer.ts";

/** What the user has configured; `null` takes what is built in. */
export interface CatalogSettings {
  /** Address or absolute path of the catalog. */
  readonly url: string | null;
  readonly fingerprints: readonly string[];
  /** Absolute path of a keyring file. */
  readonly keyring: string | null;
}

/** Largest keyring, in bytes. */
const maxKeyringBytes = 4 * 1024 * 1024;

/**
 * The catalog in force: the configured one, or the one that is built in.
 *
 * @throws BangerError `untrusted` when it breaks a rule, `unavailable` when it cannot be fetched,
 * `precondition` when it cannot be read, `cancelled`
 */
export async function loadCatalog(
  settings: Pick<CatalogSettings, "url">,
  options: Pick<TransferOptions, "signal" | "stallTimeoutMs" | "retryDelaysMs">,
): Promise<Catalog> {
  const { url } = settings;
  if (url === null) return parseCatalog(embeddedCatalog, "the built-in catalog", null);
  if (url.startsWith("/")) {
    return parseCatalog(decode(await readBounded(url, "catalog", maxCatalogBytes), url), url, null);
  }
  const bytes = await fetchBytes({ ...options, url, maxBytes: maxCatalogBytes });
  return parseCatalog(decode(bytes, url), url, new URL(url));
}

/**
 * Whose signatures count. A configured catalog is never checked by the keys that are built in: its
 * keys are those that its user has pinned.
 *
 * @throws BangerError `precondition` when the keyring cannot be read
 */
export async function loadTrust(settings: CatalogSettings): Promise<CatalogTrust> {
  const { url, fingerprints, keyring } = settings;
  const isBuiltIn = url === null && fingerprints.length === 0 && keyring === null;
  if (isBuiltIn) return embeddedTrust;
  const bytes = keyring === null
    ? new Uint8Array(0)
    : await readBounded(keyring, "keyring", maxKeyringBytes);
  return { fingerprints, keyring: bytes };
}

function decode(bytes: Uint8Array, source: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new BangerError("untrusted", `Cannot use catalog "${source}": it is not UTF-8`, {
      code: "CATALOG_INVALID",
      cause,
    });
  }
}

async function readBounded(path: string, noun: string, maxBytes: number): Promise<Uint8Array> {
  let why: string;
  try {
    const { isFile, size } = await Deno.stat(path);
    if (isFile && size <= maxBytes) return await Deno.readFile(path);
    why = isFile ? `it is larger than ${maxBytes} bytes` : "it is not a file";
  } catch (error) {
    why = error instanceof Deno.errors.NotFound ? "it does not exist" : reasonOf(error);
  }
  throw new BangerError("precondition", `Cannot read ${noun} "${path}": ${why}`, {
    hint: "Check [catalog]: banger config show",
    code: noun === "catalog" ? "CATALOG_UNREADABLE" : "KEYRING_UNREADABLE",
  });
}
