import * as v from "valibot";
import { type Digest, digestParts } from "../model/digest.ts";
import { imageReferenceText, parseImageReference } from "../model/image_reference.ts";
import type { BlobStream, Descriptor, LocalOrigin, RawManifest } from "./image_origin.ts";
import { imageLimits } from "./limits.ts";
import type { LocalBytes } from "./local_bytes.ts";
import { type IndexEntry, parseManifest } from "./manifest.ts";
import { ociTypes } from "./media_types.ts";
import { pullError, type PullSubject, quoted } from "./oci_error.ts";
import { parseJson } from "./parse_json.ts";
import { joined } from "./read_bounded.ts";

/** Which image of a layout is meant. */
export interface LayoutOptions {
  /** The source as the user wrote it. */
  readonly label: string;
  /** What it may be called in there, the best first; `null` when there is only one. */
  readonly tags: readonly string[] | null;
  /** How the user names one of several images. */
  readonly oneOf?: string;
}

/** The annotations that carry an image's tag or name. */
const tagAnnotations = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];
const markerSchema = v.object({ imageLayoutVersion: v.literal("1.0.0") });
const maxMarkerBytes = 4096;
const maxListed = 12;

/** An image in a directory, or in an archive, of the form of the OCI image layout. */
export function openOciLayout(files: LocalBytes, options: LayoutOptions): LocalOrigin {
  return new OciLayout(files, options);
}

class OciLayout implements LocalOrigin {
  readonly isLocal = true;
  readonly label: string;
  readonly hint = "Check that it is a whole OCI image layout: skopeo inspect says what is in it";
  readonly pinned = null;
  readonly #files: LocalBytes;
  readonly #options: LayoutOptions;

  constructor(files: LocalBytes, options: LayoutOptions) {
    this.label = options.label;
    this.#files = files;
    this.#options = options;
  }

  async names(signal: AbortSignal): Promise<readonly string[]> {
    return (await this.#chosen(signal)).flatMap(tagsOf);
  }

  async manifest(digest: Digest | null, signal: AbortSignal): Promise<RawManifest> {
    const none = { mediaType: null, said: null };
    if (digest !== null) {
      const bytes = await this.#whole(blobName(digest), imageLimits.manifestBytes, signal);
      return { bytes, ...none };
    }
    const chosen = await this.#chosen(signal);
    return { ...none, mediaType: ociTypes.index, bytes: indexOf(chosen) };
  }

  async blob(descriptor: Descriptor, offset: number, signal: AbortSignal): Promise<BlobStream> {
    const name = blobName(descriptor.digest);
    const size = await this.#sizeOf(name, signal);
    if (size !== descriptor.size) {
      const state = `${descriptor.digest} has ${size} bytes, ${descriptor.size} were expected`;
      throw pullError(this, "untrusted", state, { code: "SIZE_MISMATCH" });
    }
    const range = { offset, length: descriptor.size - offset };
    return { offset, chunks: this.#files.read(name, range, signal) };
  }

  async #chosen(signal: AbortSignal): Promise<readonly IndexEntry[]> {
    const marker = await this.#whole("oci-layout", maxMarkerBytes, signal);
    parseJson(marker, markerSchema, this, "its oci-layout file");
    const bytes = await this.#whole("index.json", imageLimits.manifestBytes, signal);
    const raw = { bytes, mediaType: ociTypes.index, said: null };
    const parsed = parseManifest(raw, this, "its index.json");
    return choose(parsed.kind === "index" ? parsed.entries : [], this.#options, this);
  }

  async #whole(name: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
    const size = await this.#sizeOf(name, signal);
    if (size > maxBytes) {
      throw pullError(this, "exhausted", `its ${name} has ${size} bytes, over the limit`, {
        code: "IMAGE_LIMIT",
      });
    }
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of this.#files.read(name, { offset: 0, length: size }, signal)) {
      bytes += chunk.length;
      if (bytes > size) break;
      chunks.push(chunk.slice());
    }
    if (bytes === size) return joined(chunks, bytes);
    throw pullError(this, "untrusted", `its ${name} changes while it is read`);
  }

  async #sizeOf(name: string, signal: AbortSignal): Promise<number> {
    const size = await this.#files.size(name, signal);
    if (size !== undefined) return size;
    throw pullError(this, "not_found", `it has no ${name}`, { code: "NOT_IN_LAYOUT" });
  }
}

/** The only place where a name in a layout is made of what a manifest says. */
function blobName(digest: Digest): string {
  const { algorithm, hex } = digestParts(digest);
  return `blobs/${algorithm}/${hex}`;
}

function tagsOf({ annotations }: IndexEntry): string[] {
  return tagAnnotations.flatMap((name) => annotations[name] ?? []);
}

/** The entries of one image: all that have the tag, or all when they do not differ in it. */
function choose(
  entries: readonly IndexEntry[],
  { tags, oneOf = "oci:DIR:TAG" }: LayoutOptions,
  subject: PullSubject,
): readonly IndexEntry[] {
  const names = [...new Set(entries.flatMap(tagsOf))];
  const listed = names.slice(0, maxListed).map(quoted).join(", ");
  if (entries.length === 0) {
    throw pullError(subject, "not_found", "it has no image", { code: "NOT_IN_LAYOUT" });
  }
  if (tags === null) {
    const first = new Set(entries.map((entry) => tagsOf(entry)[0]));
    if (first.size <= 1) return entries;
    throw pullError(subject, "conflict", `it has several images: ${listed}`, {
      hint: `Name one of them, as ${oneOf}`,
      code: "SEVERAL_IMAGES",
    });
  }
  for (const wanted of tags) {
    const chosen = entries.filter((entry) =>
      tagsOf(entry).some((tag) => tag === wanted || inFull(tag) === wanted)
    );
    if (chosen.length > 0) return chosen;
  }
  const has = names.length === 0 ? "its images have no tags" : `it has ${listed}`;
  throw pullError(subject, "not_found", `it has no ${quoted(tags[0] ?? "")}: ${has}`, {
    hint: `Name one of them, as ${oneOf}, or none when there is only one`,
    code: "NOT_IN_LAYOUT",
  });
}

/** A name in full, as {@linkcode imageReferenceText} writes it; `undefined` for what is none. */
export function inFull(name: string): string | undefined {
  try {
    return imageReferenceText(parseImageReference(name));
  } catch {
    return undefined;
  }
}

function indexOf(entries: readonly IndexEntry[]): Uint8Array {
  const manifests = entries.map(({ mediaType, digest, size, platform }) => ({
    ...{ mediaType, digest, size },
    ...(platform === null ? {} : { platform: { ...platform, variant: platform.variant ?? "" } }),
  }));
  const index = { schemaVersion: 2, mediaType: ociTypes.index, manifests };
  return new TextEncoder().encode(JSON.stringify(index));
}
