import * as v from "valibot";
import { type Digest, isDigest } from "../model/digest.ts";
import type { Descriptor, RawManifest } from "./image_origin.ts";
import { imageLimits } from "./limits.ts";
import { bareType, isSchema1, type ManifestKind, manifestKind } from "./media_types.ts";
import { pullError, type PullSubject, quoted } from "./oci_error.ts";
import { parseJson } from "./parse_json.ts";

/** A descriptor in an index, with what it says about where the image runs. */
export interface IndexEntry extends Descriptor {
  readonly platform: EntryPlatform | null;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The platform of an {@linkcode IndexEntry}, in Go's words. */
export interface EntryPlatform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | null;
}

/** What a manifest says. */
export type Manifest =
  | { readonly kind: "index"; readonly entries: readonly IndexEntry[] }
  | {
    readonly kind: "manifest";
    readonly config: Descriptor;
    readonly layers: readonly Descriptor[];
  };

const word = v.pipe(v.string(), v.maxLength(256));
const digest = v.custom<Digest>(isDigest);
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const descriptor = v.object({ mediaType: word, digest, size });
const platform = v.object({ os: word, architecture: word, variant: v.nullish(word) });
const annotations = v.record(word, v.pipe(v.string(), v.maxLength(16 * 1024)));
const entry = v.object({
  ...descriptor.entries,
  platform: v.nullish(platform),
  annotations: v.nullish(annotations),
});
const envelope = v.object({
  schemaVersion: v.optional(v.number()),
  mediaType: v.optional(word),
  manifests: v.optional(v.unknown()),
  config: v.optional(v.unknown()),
  layers: v.optional(v.unknown()),
  fsLayers: v.optional(v.unknown()),
});
const index = v.object({ manifests: v.pipe(v.array(entry), v.maxLength(4096)) });
const manifest = v.object({
  config: descriptor,
  layers: v.pipe(v.array(descriptor), v.maxLength(imageLimits.layers)),
});

/**
 * Reads an OCI index or manifest, or Docker's list or manifest of schema 2. What it is must be clear:
 * one that could be read as both is refused, and so is a type that contradicts the content.
 *
 * @throws BangerError `untrusted`
 */
export function parseManifest(raw: RawManifest, subject: PullSubject, what: string): Manifest {
  const outer = parseJson(raw.bytes, envelope, subject, what);
  const said = bareType(raw.mediaType);
  checkNotSchema1(said, outer, subject, what);
  const kind = kindOf(said, outer, subject, what);
  if (kind === "index") {
    const { manifests } = parseJson(raw.bytes, index, subject, what);
    return {
      kind,
      entries: manifests.map((one) => ({
        mediaType: one.mediaType,
        digest: one.digest,
        size: one.size,
        platform: platformIn(one.platform ?? null),
        annotations: one.annotations ?? {},
      })),
    };
  }
  return { kind, ...parseJson(raw.bytes, manifest, subject, what) };
}

function platformIn(said: v.InferOutput<typeof platform> | null): EntryPlatform | null {
  return said === null ? null : { ...said, variant: said.variant ?? null };
}

type Envelope = v.InferOutput<typeof envelope>;

function checkNotSchema1(
  said: string | null,
  outer: Envelope,
  subject: PullSubject,
  what: string,
): void {
  const old = (said !== null && isSchema1(said)) || outer.fsLayers !== undefined ||
    outer.schemaVersion === 1;
  if (!old) return;
  const state =
    `${what} is of Docker's schema 1, which is not taken: it has no digests to check by`;
  throw pullError(subject, "precondition", state, {
    code: "SCHEMA1",
    hint: "Ask its publisher to push it again with any Docker since 1.10",
  });
}

function kindOf(
  said: string | null,
  outer: Envelope,
  subject: PullSubject,
  what: string,
): ManifestKind {
  const named = [outer.mediaType ?? "", said ?? ""].flatMap((type) => manifestKind(type) ?? []);
  const looksLike: ManifestKind[] = [
    ...(outer.manifests === undefined ? [] : ["index" as const]),
    ...(outer.layers === undefined && outer.config === undefined ? [] : ["manifest" as const]),
  ];
  const kinds = new Set([...named, ...looksLike]);
  const [kind] = looksLike;
  if (kinds.size === 1 && kind !== undefined) {
    const other = outer.mediaType;
    if (other === undefined || manifestKind(other) === kind) return kind;
    throw pullError(subject, "untrusted", `${what} is of the unknown type ${quoted(other)}`, {
      code: "BAD_MANIFEST",
    });
  }
  const state = kinds.size > 1
    ? `${what} can be read as a manifest and as an index`
    : `${what} is neither a manifest nor an index`;
  throw pullError(subject, "untrusted", state, { code: "BAD_MANIFEST" });
}
