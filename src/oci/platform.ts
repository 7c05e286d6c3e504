import type { EntryPlatform, IndexEntry } from "./manifest.ts";
import { pullError, type PullSubject, quoted } from "./oci_error.ts";

/** Processors, as the rest of banger names them. */
export type HostArch = "x86_64" | "aarch64";

/** Where an image must run: on Linux, on this processor's baseline. */
export interface Platform {
  /** In Go's words. */
  readonly architecture: "amd64" | "arm64";
}

/** Names of the baseline of an architecture, which every processor of it runs. */
const baselines: Readonly<Record<Platform["architecture"], readonly string[]>> = {
  amd64: ["v1"],
  arm64: ["v8", "v8.0"],
};
const maxListed = 12;

/** The platform of guests on this host. */
export function platformOf(arch: HostArch): Platform {
  return { architecture: arch === "x86_64" ? "amd64" : "arm64" };
}

/** Whether what is made for `of` runs on `platform`. */
export function runsOn(platform: Platform, of: EntryPlatform): boolean {
  if (of.os !== "linux" || of.architecture !== platform.architecture) return false;
  return of.variant === null || of.variant === "" ||
    baselines[platform.architecture].includes(of.variant);
}

/**
 * The one entry of an index for `platform`. An entry that does not say where it runs is only taken
 * when it is the only one; its configuration tells later.
 *
 * @throws BangerError `not_found` or, when several fit, `conflict`; both list what there is
 */
export function choosePlatform(
  entries: readonly IndexEntry[],
  platform: Platform,
  subject: PullSubject,
): IndexEntry {
  const [only] = entries;
  if (entries.length === 1 && only?.platform === null) return only;
  const fitting = entries.filter((entry) =>
    entry.platform !== null && runsOn(platform, entry.platform)
  );
  const [first] = fitting;
  const wanted = `linux/${platform.architecture}`;
  if (first === undefined) {
    throw pullError(subject, "not_found", `it has nothing for ${wanted}: ${listed(entries)}`, {
      hint: "Choose another image or tag",
      code: "PLATFORM_MISSING",
    });
  }
  if (fitting.every(({ digest }) => digest === first.digest)) return first;
  const digests = fitting.slice(0, maxListed).map(({ digest }) => digest).join(", ");
  throw pullError(subject, "conflict", `it has several images for ${wanted}: ${digests}`, {
    hint: "Name the one that you want by its digest, as REPOSITORY@sha256:…",
    code: "PLATFORM_AMBIGUOUS",
  });
}

function listed(entries: readonly IndexEntry[]): string {
  // Signatures and provenance are listed in an index as "unknown/unknown".
  const images = entries.filter(({ platform }) => platform?.os !== "unknown");
  if (images.length === 0) return "it has no images at all";
  const names = images.map(({ platform }) =>
    platform === null ? "an unnamed one" : nameOf(platform)
  );
  const unique = [...new Set(names)];
  const more = unique.length > maxListed ? " and others" : "";
  return `it has ${unique.slice(0, maxListed).join(", ")}${more}`;
}

/** Such as `linux/arm/v7`. */
function nameOf({ os, architecture, variant }: EntryPlatform): string {
  const text = `${os}/${architecture}${variant === null || variant === "" ? "" : `/${variant}`}`;
  return /^[A-Za-z0-9._\/-]+$/.test(text) ? text : quoted(text);
}
