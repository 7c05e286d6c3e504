import * as v from "valibot";
import { BangerError } from "../model/errors.ts";
import { nameProblem } from "../model/names.ts";
import { type Catalog, type CatalogEntry, catalogFormat, isFingerprint } from "./catalog.ts";
import { urlProblem } from "./catalog_url.ts";

/** Largest catalog, in bytes. */
export const maxCatalogBytes = 1024 * 1024;

/** Most entries of a catalog. */
const maxEntries = 1_000;

/** Largest bundle, in bytes: no disk of a VM that is worth publishing packs to more. */
const maxBundleBytes = 64 * 1024 ** 3;

/** A name below the catalog's own address, or a whole address. */
const location = v.pipe(v.string(), v.minLength(1), v.maxLength(2_048));

const entrySchema = v.strictObject({
  kind: v.picklist(["image", "kernel"]),
  name: v.string(),
  arch: v.picklist(["x86_64", "aarch64"]),
  url: location,
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, "it is no SHA-256")),
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(maxBundleBytes)),
  signature: location,
  signer: v.pipe(v.string(), v.check(isFingerprint, "it is no fingerprint")),
});

const catalogSchema = v.strictObject({
  format: v.literal(catalogFormat),
  entries: v.pipe(v.array(entrySchema), v.maxLength(maxEntries)),
});

/** An entry as it is written: addresses may be names relative to the catalog's. */
export type WrittenEntry = v.InferOutput<typeof entrySchema>;

/** A catalog as it is written. */
export type WrittenCatalog = v.InferOutput<typeof catalogSchema>;

/**
 * Reads a catalog. Relative addresses in it are taken from `base`; without one (a catalog that is
 * built in or a file) they are refused.
 *
 * @param source how errors name it
 * @throws BangerError `untrusted` naming the entry and the rule
 */
export function parseCatalog(text: string, source: string, base: URL | null): Catalog {
  const written = parseWrittenCatalog(text, source);
  const entries = written.entries.map((entry): CatalogEntry => {
    const { signature, ...rest } = entry;
    const at = (field: string, value: string) =>
      absolute(value, base, (why) => refuse(source, `${shown(entry)}: ${field}: ${why}`));
    return { ...rest, url: at("url", entry.url), signatureUrl: at("signature", signature) };
  });
  return { source, entries };
}

/**
 * Reads a catalog without resolving its addresses: for who maintains it.
 *
 * @throws BangerError `untrusted`
 */
export function parseWrittenCatalog(text: string, source: string): WrittenCatalog {
  if (text.length > maxCatalogBytes) {
    throw refuse(source, `it is larger than ${maxCatalogBytes} bytes`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refuse(source, "it is not JSON", cause);
  }
  const format = typeof value === "object" && value !== null && "format" in value
    ? value.format
    : undefined;
  if (typeof format === "number" && format !== catalogFormat) {
    throw refuse(source, `it has format ${format}, this version reads format ${catalogFormat}`);
  }
  const result = v.safeParse(catalogSchema, value);
  if (!result.success) {
    const [issue] = result.issues;
    const path = v.getDotPath(issue);
    throw refuse(source, `${path === null ? "" : `"${path}": `}${issue.message}`);
  }
  const seen = new Set<string>();
  for (const entry of result.output.entries) {
    const problem = nameProblem(entry.kind, entry.name);
    if (problem !== undefined) throw refuse(source, `${shown(entry)}: name: ${problem}`);
    const key = `${entry.kind} ${entry.name} ${entry.arch}`;
    if (seen.has(key)) throw refuse(source, `${shown(entry)} is in it twice`);
    seen.add(key);
  }
  return result.output;
}

function absolute(value: string, base: URL | null, fail: (why: string) => BangerError): string {
  if (URL.canParse(value)) {
    const url = new URL(value);
    const problem = urlProblem(url, base);
    if (problem !== undefined) throw fail(problem);
    return url.href;
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._+-]*(\/[A-Za-z0-9][A-Za-z0-9._+-]*)*$/.test(value)) {
    throw fail("it is neither an address nor a plain relative name");
  }
  if (base === null) throw fail("it must be a whole address, since the catalog has none itself");
  return new URL(value, base).href;
}

function shown(entry: WrittenEntry): string {
  return `entry ${JSON.stringify(entry.name.slice(0, 64))} (${entry.kind}, ${entry.arch})`;
}

function refuse(source: string, why: string, cause?: unknown): BangerError {
  return new BangerError("untrusted", `Cannot use catalog "${source}": ${why}`, {
    code: "CATALOG_INVALID",
    hint: "Check [catalog] url: banger config show",
    ...(cause === undefined ? {} : { cause }),
  });
}
