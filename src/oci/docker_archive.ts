import { createHash } from "node:crypto";
import * as v from "valibot";
import { type Digest, isDigest } from "../model/digest.ts";
import { type ImageReference, imageReferenceText } from "../model/image_reference.ts";
import { parseImageConfig } from "./image_config.ts";
import type { BlobStream, Descriptor, LocalOrigin, RawManifest } from "./image_origin.ts";
import { imageLimits } from "./limits.ts";
import type { LocalBytes } from "./local_bytes.ts";
import { ociTypes } from "./media_types.ts";
import { pullError, type PullSubject, quoted } from "./oci_error.ts";
import { inFull, openOciLayout } from "./oci_layout.ts";
import { parseJson } from "./parse_json.ts";
import { joined } from "./read_bounded.ts";
import { digestOf } from "./resolve_image.ts";
import { tarMembers } from "./tar_members.ts";

/** Which image of an archive is meant. */
export interface ArchiveOptions {
  /** The source as the user wrote it. */
  readonly label: string;
  readonly reference: ImageReference | null;
  readonly signal: AbortSignal;
}

const oneOf = "docker-archive:FILE:NAME:TAG";
const archiveHint = "Check that docker save, or podman save, has written all of it";
const maxListed = 12;
const memberName = v.pipe(v.string(), v.minLength(1), v.maxLength(1024));
const manifestSchema = v.pipe(
  v.array(v.object({
    Config: memberName,
    RepoTags: v.nullish(v.pipe(v.array(v.string()), v.maxLength(4096))),
    Layers: v.nullish(v.pipe(v.array(memberName), v.maxLength(imageLimits.layers))),
  })),
  v.minLength(1),
  v.maxLength(4096),
);

type ArchiveEntry = v.InferOutput<typeof manifestSchema>[number];

/**
 * An image in an archive of `docker save`: the form with `manifest.json`, of any Docker and of
 * podman, or else an OCI layout in a tar. Of the former it makes an OCI manifest, so that the image
 * has a digest that is the same wherever the same archive is read.
 *
 * @throws BangerError `not_found`, `conflict`, `untrusted`, `exhausted`
 */
export async function openDockerArchive(
  files: LocalBytes,
  options: ArchiveOptions,
): Promise<LocalOrigin> {
  const { label, reference, signal } = options;
  const subject = { label, hint: archiveHint };
  const members = await tarMembers(files, subject, signal);
  if (await members.size("manifest.json", signal) !== undefined) {
    return await archivedImage(members, subject, options);
  }
  if (await members.size("index.json", signal) === undefined) {
    throw pullError(subject, "untrusted", "its archive has no manifest.json and no index.json", {
      code: "BAD_ARCHIVE",
    });
  }
  const tags = reference === null ? null : [imageReferenceText(reference), reference.tag ?? ""];
  return openOciLayout(members, { label, tags, oneOf });
}

async function archivedImage(
  members: LocalBytes,
  subject: PullSubject,
  { reference, signal }: ArchiveOptions,
): Promise<LocalOrigin> {
  const bytes = await whole(members, "manifest.json", imageLimits.manifestBytes, subject, signal);
  const images = parseJson(bytes, manifestSchema, subject, "its manifest.json");
  const image = choose(images, reference, subject);
  const configBytes = await whole(members, image.Config, imageLimits.configBytes, subject, signal);
  const config = parseImageConfig(configBytes, subject, "its configuration");
  const names = image.Layers ?? [];
  const places = new Map<Digest, string>();
  const layers: Descriptor[] = [];
  for (const [at, name] of names.entries()) {
    const layer = await layerOf(members, name, config.diffIds[at], subject, signal);
    places.set(layer.digest, name);
    layers.push(layer);
  }
  const configDigest = digestOf(configBytes, "sha256");
  places.set(configDigest, image.Config);
  const manifest = {
    schemaVersion: 2,
    mediaType: ociTypes.manifest,
    config: { mediaType: ociTypes.config, digest: configDigest, size: configBytes.length },
    layers,
  };
  const manifestBytes = new TextEncoder().encode(JSON.stringify(manifest));
  const tags = image.RepoTags ?? [];
  return new ArchivedImage(members, subject, { places, manifestBytes, tags });
}

interface Archived {
  readonly places: ReadonlyMap<Digest, string>;
  readonly manifestBytes: Uint8Array;
  readonly tags: readonly string[];
}

class ArchivedImage implements LocalOrigin {
  readonly isLocal = true;
  readonly label: string;
  readonly hint: string;
  readonly pinned = null;
  readonly #members: LocalBytes;
  readonly #image: Archived;

  constructor(members: LocalBytes, { label, hint }: PullSubject, image: Archived) {
    this.label = label;
    this.hint = hint;
    this.#members = members;
    this.#image = image;
  }

  names(): Promise<readonly string[]> {
    return Promise.resolve(this.#image.tags);
  }

  manifest(): Promise<RawManifest> {
    const bytes = this.#image.manifestBytes;
    return Promise.resolve({ bytes, mediaType: ociTypes.manifest, said: null });
  }

  blob(descriptor: Descriptor, offset: number, signal: AbortSignal): Promise<BlobStream> {
    const name = this.#image.places.get(descriptor.digest);
    if (name === undefined) {
      throw pullError(this, "not_found", `its archive has no ${descriptor.digest}`);
    }
    const range = { offset, length: descriptor.size - offset };
    return Promise.resolve({ offset, chunks: this.#members.read(name, range, signal) });
  }
}

function choose(
  images: readonly ArchiveEntry[],
  reference: ImageReference | null,
  subject: PullSubject,
): ArchiveEntry {
  const [first] = images;
  if (reference === null && images.length === 1 && first !== undefined) return first;
  const tags = images.flatMap(({ RepoTags }) => RepoTags ?? []);
  const listed = tags.slice(0, maxListed).map(quoted).join(", ") || "without names";
  if (reference === null) {
    throw pullError(subject, "conflict", `it has ${images.length} images: ${listed}`, {
      hint: `Name one of them, as ${oneOf}`,
      code: "SEVERAL_IMAGES",
    });
  }
  const wanted = imageReferenceText(reference);
  const chosen = images.find(({ RepoTags }) =>
    (RepoTags ?? []).some((tag) => inFull(tag) === wanted)
  );
  if (chosen !== undefined) return chosen;
  throw pullError(subject, "not_found", `it has no ${quoted(wanted)}; it has ${listed}`, {
    hint: `Name one of them, as ${oneOf}, or none when there is only one`,
    code: "NOT_IN_ARCHIVE",
  });
}

/**
 * The descriptor of an archived layer. That of a plain tar has its diff id as its digest; of a
 * compressed one the digest is in its name or must be found by reading it.
 */
async function layerOf(
  members: LocalBytes,
  name: string,
  diffId: Digest | undefined,
  subject: PullSubject,
  signal: AbortSignal,
): Promise<Descriptor> {
  const size = await members.size(name, signal);
  if (size === undefined || diffId === undefined) {
    const state = size === undefined
      ? `its archive has no layer ${quoted(name)}`
      : "its configuration has fewer layers than its manifest.json";
    throw pullError(subject, "untrusted", state, { code: "BAD_ARCHIVE" });
  }
  const start = await firstBytes(members, name, signal);
  const suffix = start[0] === 0x1f && start[1] === 0x8b
    ? "+gzip"
    : start[0] === 0x28 && start[1] === 0xb5 && start[2] === 0x2f && start[3] === 0xfd
    ? "+zstd"
    : "";
  const mediaType = `${ociTypes.layer}${suffix}`;
  if (suffix === "") return { mediaType, digest: diffId, size };
  const named = `sha256:${/^blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1] ?? ""}`;
  if (isDigest(named)) return { mediaType, digest: named, size };
  const hash = createHash("sha256");
  for await (const chunk of members.read(name, { offset: 0, length: size }, signal)) {
    hash.update(chunk);
  }
  return { mediaType, digest: `sha256:${hash.digest("hex")}`, size };
}

async function firstBytes(
  members: LocalBytes,
  name: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  for await (const chunk of members.read(name, { offset: 0, length: 4 }, signal)) {
    return chunk.slice();
  }
  return new Uint8Array(0);
}

async function whole(
  members: LocalBytes,
  name: string,
  maxBytes: number,
  subject: PullSubject,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const size = await members.size(name, signal);
  if (size === undefined || size > maxBytes) {
    const state = size === undefined
      ? `its archive has no ${quoted(name)}`
      : `${quoted(name)} in its archive has ${size} bytes, over the limit`;
    throw pullError(subject, size === undefined ? "untrusted" : "exhausted", state, {
      code: size === undefined ? "BAD_ARCHIVE" : "IMAGE_LIMIT",
    });
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of members.read(name, { offset: 0, length: size }, signal)) {
    chunks.push(chunk.slice());
    bytes += chunk.length;
  }
  if (bytes === size) return joined(chunks, bytes);
  throw pullError(subject, "untrusted", "its archive is cut off", { code: "BAD_ARCHIVE" });
}
