/**
 * What this build of banger is, and where its own files are.
 *
 * Owns: version, commit, kind of build, the flags that banger's code runs with, the place of the
 * guest agent. Must not import anything above rank 1, and nothing that is slow to load.
 */

/**
 * How this banger was made: `compiled` by `deno compile`, `self-extracting` (the fallback: Deno and
 * the bundled code in one file), or `source` (`deno run main.ts` in a working tree).
 */
export type BuildKind = "compiled" | "self-extracting" | "source";

/** What `banger version` tells. */
export interface BuildInfo {
  /** From `deno.json`, for example `0.1.0`. */
  readonly version: string;
  /** Abbreviated git commit, with `-dirty` when files differed from it; `unknown` without git. */
  readonly commit: string;
  readonly denoVersion: string;
  readonly kind: BuildKind;
  /**
   * Fingerprint of the bundled code (hexadecimal): two programs that have the same one are the same
   * code, also where the commit cannot tell. `null` when run from source.
   */
  readonly build: string | null;
}

/** The build replaces this literal by the JSON of the fields that are fixed when it runs. */
const stamped: string = "@@BANGER_BUILD_INFO@@";

/** The text that {@linkcode stamped} starts with in source code; split, so that it stays as it is. */
const unstampedStart = "@@" + "BANGER";

/** Tells what this build is. Reads `deno.json` when run from source, nothing otherwise. */
export function buildInfo(): BuildInfo {
  const denoVersion = Deno.version.deno;
  if (!stamped.startsWith(unstampedStart)) {
    return { ...JSON.parse(stamped) as Omit<BuildInfo, "denoVersion">, denoVersion };
  }
  const config = JSON.parse(
    Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)),
  ) as { version: string };
  return { version: config.version, commit: "unknown", denoVersion, kind: "source", build: null };
}
