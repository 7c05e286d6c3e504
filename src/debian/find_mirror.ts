import { BangerError } from "../model/errors.ts";
import { type AptSource, debianMirrorOf, parseListFile, parseSourcesFile } from "./apt_sources.ts";

const maxFileBytes = 256 * 1024;
const maxFiles = 200;

/** Where apt's configuration is, and what the user says instead. */
export interface FindMirrorOptions {
  /** The Debian release whose archive is wanted, such as `bookworm`. */
  readonly suite: string;
  /** `[catalog] debian_mirror` of banger's configuration: taken as it is. */
  readonly configured?: string | undefined;
  /** `/etc/apt` when left out. */
  readonly aptDir?: string;
}

/**
 * The base URL of a Debian mirror, without a slash at its end: the configured one, else the one
 * that the host's apt uses for `suite`.
 *
 * @throws BangerError `precondition` when apt names none, `invalid` when the configured one is not
 * an http or https URL
 */
export async function findMirror(options: FindMirrorOptions): Promise<string> {
  if (options.configured !== undefined) return checkMirrorUrl(options.configured);
  const mirror = debianMirrorOf(await readAptSources(options.aptDir ?? "/etc/apt"), options.suite);
  if (mirror !== undefined) return mirror;
  throw new BangerError(
    "precondition",
    `Cannot find a Debian mirror: this host's apt has no source for "${options.suite}"`,
    { hint: 'Set debian_mirror = "https://…/debian" under [catalog] (banger config path)' },
  );
}

/** @throws BangerError `invalid` */
export function checkMirrorUrl(mirror: string): string {
  let protocol: string | undefined;
  try {
    protocol = new URL(mirror).protocol;
  } catch {
    protocol = undefined;
  }
  if (protocol === "http:" || protocol === "https:") return mirror.replace(/\/+$/, "");
  throw new BangerError("invalid", `Cannot use mirror "${mirror}": not an http or https URL`, {
    hint: "Set debian_mirror under [catalog] (banger config path)",
  });
}

/** Every usable source of the host's apt, `sources.list` first; unreadable files are left out. */
export async function readAptSources(aptDir: string): Promise<AptSource[]> {
  const found = parseListFile(await readSmall(`${aptDir}/sources.list`));
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(`${aptDir}/sources.list.d`)) {
      if (names.length < maxFiles) names.push(entry.name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  for (const name of names.sort()) {
    const path = `${aptDir}/sources.list.d/${name}`;
    if (name.endsWith(".list")) found.push(...parseListFile(await readSmall(path)));
    if (name.endsWith(".sources")) found.push(...parseSourcesFile(await readSmall(path)));
  }
  return found;
}

async function readSmall(path: string): Promise<string> {
  try {
    const info = await Deno.stat(path);
    return info.isFile && info.size <= maxFileBytes ? await Deno.readTextFile(path) : "";
  } catch {
    return "";
  }
}
