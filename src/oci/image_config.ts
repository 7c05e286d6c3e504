import * as v from "valibot";
import { type Digest, isDigest } from "../model/digest.ts";
import { imageLimits } from "./limits.ts";
import type { PullSubject } from "./oci_error.ts";
import { parseJson } from "./parse_json.ts";

/**
 * What an image says about running it: data from outside, with bounds and without NULs. It never
 * becomes an argument, a path or text of a unit on the host.
 */
export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  readonly variant: string | null;
  /** RFC 3339; `null` when it does not say. */
  readonly created: string | null;
  /** `NAME=VALUE`; entries of another form are left out. */
  readonly env: readonly string[];
  /** Absolute, or empty. */
  readonly workingDir: string;
  /** `user`, `uid`, `user:group` or `uid:gid`, or empty. */
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** Digests of the uncompressed layers, the lowest first. */
  readonly diffIds: readonly Digest[];
}

/** Linux takes no longer argument or variable (MAX_ARG_STRLEN). */
const maxStringBytes = 128 * 1024 - 1;
const maxStrings = 4096;

const clean = v.pipe(
  v.string(),
  v.maxLength(maxStringBytes),
  v.check((text) => !text.includes("\0"), "has a NUL"),
);
const short = v.pipe(clean, v.maxLength(256));
const strings = v.pipe(v.array(clean), v.maxLength(maxStrings));
const workingDir = v.pipe(clean, v.maxLength(4096));
const user = v.pipe(short, v.regex(/^[^\s/]*$/));

const schema = v.object({
  architecture: short,
  os: short,
  variant: v.nullish(short),
  created: v.nullish(short),
  config: v.nullish(v.object({
    Env: v.nullish(strings),
    WorkingDir: v.nullish(workingDir),
    User: v.nullish(user),
    Entrypoint: v.nullish(strings),
    Cmd: v.nullish(strings),
  })),
  rootfs: v.object({
    type: v.literal("layers"),
    diff_ids: v.nullish(
      v.pipe(v.array(v.custom<Digest>(isDigest)), v.maxLength(imageLimits.layers)),
    ),
  }),
});

/**
 * Reads an image's configuration (OCI's or Docker's: the same fields). Unknown fields are left out.
 *
 * @throws BangerError `untrusted`
 */
export function parseImageConfig(
  bytes: Uint8Array,
  subject: PullSubject,
  what: string,
): ImageConfig {
  const { config, rootfs, ...image } = parseJson(bytes, schema, subject, what);
  return {
    architecture: image.architecture,
    os: image.os,
    variant: image.variant ?? null,
    created: image.created ?? null,
    env: (config?.Env ?? []).filter((one) => one.indexOf("=") > 0),
    workingDir: absolute(config?.WorkingDir ?? ""),
    user: config?.User ?? "",
    entrypoint: config?.Entrypoint ?? [],
    cmd: config?.Cmd ?? [],
    diffIds: rootfs.diff_ids ?? [],
  };
}

/** Other programs take a relative one from the root, too. */
function absolute(dir: string): string {
  return dir === "" || dir.startsWith("/") ? dir : `/${dir}`;
}
