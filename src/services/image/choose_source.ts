import { type CatalogEntry, type CatalogKind, findEntry } from "../../catalog/catalog.ts";
import { BangerError, isBangerError, reasonOf } from "../../model/errors.ts";
import { unknownArtefact } from "./catalog.ts";
import type { ImageServiceDeps } from "./contract.ts";

/** The `source` of what comes from the catalog that is built in. */
export const builtInSource = "catalog:built-in";

/** Where an image or a kernel of a name comes from. */
export type SourceChoice =
  | { readonly from: "bundle"; readonly entry: CatalogEntry; readonly reason: string }
  | { readonly from: "debian"; readonly reason: string };

/** What is looked for, and what the next source has. */
export interface Wanted {
  readonly kind: CatalogKind;
  readonly name: string;
  /** Names of this kind that are made from the Debian archive. */
  readonly fromDebian: readonly string[];
}

/** What a choice is made with. */
export type ChoosingDeps = Pick<ImageServiceDeps, "catalog" | "arch" | "images" | "kernels">;

/**
 * Decides where `wanted` comes from: the catalog's bundle, else the Debian archive. A catalog that
 * cannot be had, or that lacks it, leaves the Debian archive, unless what is here came from it: whoever
 * serves a catalog or cuts it off must not decide what replaces its images. A catalog that breaks a rule
 * is an error, whatever else there is.
 *
 * @throws BangerError `not_found` when no source has it, `unavailable` when the catalog cannot be asked
 * and nothing may take its place, `untrusted`, `cancelled`
 */
export async function chooseSource(
  deps: ChoosingDeps,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<SourceChoice> {
  const { kind, name, fromDebian } = wanted;
  const known = fromDebian.includes(name);
  let catalog;
  try {
    catalog = await deps.catalog.load(signal);
  } catch (error) {
    if (!isOutOfReach(error)) throw error;
    if (!known || cameFromCatalog(deps, wanted)) throw outOfReach(deps, wanted, error);
    return { from: "debian", reason: `the catalog is out of reach (${reasonOf(error)})` };
  }
  const { arch } = deps;
  const entry = findEntry(catalog, { kind, name, arch });
  const where = /^(\/|https?:)/.test(catalog.source) ? "the catalog" : catalog.source;
  if (entry !== undefined) {
    return { from: "bundle", entry, reason: `${where} has a bundle of it for ${arch}` };
  }
  if (known && cameFromCatalog(deps, wanted)) throw noMore(wanted);
  if (known) return { from: "debian", reason: `${where} has no bundle of it for ${arch}` };
  const carrier = deps.images.list().find(({ kernel, publication }) =>
    kind === "kernel" && kernel === name && publication !== null
  );
  if (carrier !== undefined) throw onlyWith(name, carrier.name);
  const present = (kind === "image" ? deps.images : deps.kernels).list().map((each) => each.name);
  const offered = catalog.entries.filter((each) => each.kind === kind && each.arch === arch);
  const pullable = [...fromDebian, ...offered.map((each) => each.name)];
  throw unknownArtefact("pull", kind, name, present, [...new Set(pullable)]);
}

/**
 * What to do when a bundle that was chosen could not be pulled: as {@linkcode chooseSource} when the
 * catalog is out of reach, where it is the bundle's server that could not be reached.
 *
 * @throws `error` for every other failure, and for all that is wrong with the bundle itself
 */
export function chooseInstead(
  deps: ChoosingDeps,
  wanted: Wanted,
  error: unknown,
): Extract<SourceChoice, { from: "debian" }> {
  const mayBeReplaced = wanted.fromDebian.includes(wanted.name) && !cameFromCatalog(deps, wanted);
  if (!mayBeReplaced || !isBangerError(error, "unavailable")) throw error;
  return { from: "debian", reason: `its bundle is out of reach (${reasonOf(error)})` };
}

/** One line for the user about a choice. */
export function choiceNotice({ kind, name }: Wanted, choice: SourceChoice): string {
  const how = choice.from === "bundle"
    ? "pulling the bundle"
    : kind === "image"
    ? "building from Debian packages"
    : "taking it from the Debian archive";
  return `${name}: ${how}, ${choice.reason}`;
}

/** A catalog that was not read, in contrast to one that was and is wrong. */
function isOutOfReach(error: unknown): boolean {
  return isBangerError(error, "unavailable") ||
    (isBangerError(error, "precondition") && error.code === "CATALOG_UNREADABLE");
}

function onlyWith(kernel: string, image: string): BangerError {
  return new BangerError(
    "not_found",
    `Cannot pull kernel "${kernel}": it only comes with image "${image}"`,
    { hint: `banger image pull --refresh ${image}` },
  );
}

/** Whether what is here came from the catalog in force, not from one of before. */
function cameFromCatalog(deps: ChoosingDeps, { kind, name }: Wanted): boolean {
  const present = kind === "image" ? deps.images.find(name) : deps.kernels.find(name);
  return (present?.publication ?? null) !== null && present?.source === deps.catalog.source;
}

function noMore({ kind, name }: Wanted): BangerError {
  return new BangerError(
    "not_found",
    `Cannot pull ${kind} "${name}": the catalog has it no more; the one that is here stays`,
    { hint: `To take it from the Debian archive: banger ${kind} delete ${name}` },
  );
}

function outOfReach(deps: ChoosingDeps, wanted: Wanted, cause: unknown): BangerError {
  const { kind, name } = wanted;
  const why = cameFromCatalog(deps, wanted)
    ? "the catalog that it came from is out of reach; the one that is here stays"
    : "the catalog is out of reach, and nothing else has it";
  return new BangerError(
    "unavailable",
    `Cannot pull ${kind} "${name}": ${why}`,
    {
      detail: reasonOf(cause),
      hint: "Check the network and [catalog] url: banger config show",
      cause,
    },
  );
}
