import { createHash } from "node:crypto";
import { type Digest, type DigestAlgorithm, digestParts } from "../model/digest.ts";
import type { BlobHold, BlobStore } from "./blob_store.ts";
import { type ImageConfig, parseImageConfig } from "./image_config.ts";
import type { Descriptor, ImageOrigin, RawManifest } from "./image_origin.ts";
import { checkLayers, type Layer } from "./layers.ts";
import { imageLimits } from "./limits.ts";
import { type IndexEntry, type Manifest, parseManifest } from "./manifest.ts";
import { isConfigType, manifestKind } from "./media_types.ts";
import { pullError, quoted } from "./oci_error.ts";
import { choosePlatform, type Platform, runsOn } from "./platform.ts";
import { joined } from "./read_bounded.ts";
import { defaultRetryPolicy, type RetryPolicy } from "./retries.ts";
import { streamBlob, wrongSize } from "./stream_blob.ts";

/** An image for one platform, verified but for its layers' content. */
export interface ResolvedImage {
  /** Of the manifest for the platform: equal digests are equal images. */
  readonly digest: Digest;
  /** Of what the name stands for: the index, or the manifest when there is none. */
  readonly rootDigest: Digest;
  readonly configDigest: Digest;
  readonly config: ImageConfig;
  /** The lowest first. The same one can be in it several times. */
  readonly layers: readonly Layer[];
  /** Of all layers, compressed; each counted once. */
  readonly layerBytes: number;
  /** Everything that a store must keep for this image. */
  readonly blobs: ReadonlySet<Digest>;
}

/** How an image is resolved. */
export interface ResolveOptions {
  readonly platform: Platform;
  readonly signal: AbortSignal;
  /** Manifests and configuration are looked for here first, and kept here. */
  readonly store?: BlobStore;
  /** Gets every blob of the image before it is in the store. */
  readonly hold?: BlobHold;
  readonly policy?: RetryPolicy;
}

/**
 * Finds out what an image is made of: from its name over an index, where there is one, to manifest
 * and configuration for one platform. Every step is checked against the digest of the one before.
 *
 * @throws BangerError `not_found` or `conflict` for the platform, `untrusted`, `exhausted` beyond a
 * limit, `precondition` for what is no image, and as {@linkcode ImageOrigin}
 */
export async function resolveImage(
  origin: ImageOrigin,
  options: ResolveOptions,
): Promise<ResolvedImage> {
  return await new Resolution(origin, options).run();
}

class Resolution {
  readonly #origin: ImageOrigin;
  readonly #options: ResolveOptions;
  readonly #blobs = new Set<Digest>();
  #manifests = 0;

  constructor(origin: ImageOrigin, options: ResolveOptions) {
    this.#origin = origin;
    this.#options = options;
  }

  async run(): Promise<ResolvedImage> {
    const root = await this.#root();
    let digest = root.digest;
    let manifest = root.manifest;
    if (manifest.kind === "index") {
      const entries = await this.#images(manifest.entries, 1);
      const entry = choosePlatform(entries, this.#options.platform, this.#origin);
      digest = entry.digest;
      manifest = await this.#manifestOf(entry);
      if (manifest.kind === "index") {
        throw this.#untrusted(`${digest} is an index, its own index calls it a manifest`);
      }
    }
    const config = await this.#config(manifest.config);
    const layers = checkLayers(manifest.layers, config.diffIds, this.#origin);
    for (const layer of layers) this.#needs(layer.digest);
    const sizes = new Map(layers.map((layer) => [layer.digest, layer.size]));
    return {
      digest,
      rootDigest: root.digest,
      configDigest: manifest.config.digest,
      config,
      layers,
      layerBytes: [...sizes.values()].reduce((sum, size) => sum + size, 0),
      blobs: this.#blobs,
    };
  }

  /** What the name stands for. It is asked for each time: a tag can move. */
  async #root(): Promise<{ digest: Digest; manifest: Manifest }> {
    const { pinned } = this.#origin;
    const kept = pinned === null ? undefined : await this.#kept(pinned, imageLimits.manifestBytes);
    if (pinned !== null && kept !== undefined) {
      return { digest: pinned, manifest: this.#parsed(kept, pinned) };
    }
    const raw = await this.#fetched(null);
    const digest = pinned ?? digestOf(raw.bytes, "sha256");
    this.#checkDigest(raw.bytes, digest);
    if (raw.said !== null && raw.said !== digest && raw.said.startsWith("sha256:")) {
      const state = `its manifest came as ${digest}, the registry says ${quoted(raw.said)}`;
      throw this.#untrusted(state, "DIGEST_MISMATCH");
    }
    const manifest = this.#parsed(raw, digest);
    await this.#keep(digest, raw.bytes);
    return { digest, manifest };
  }

  /** The images in an index and in the indexes in it. */
  async #images(entries: readonly IndexEntry[], depth: number): Promise<IndexEntry[]> {
    const found: IndexEntry[] = [];
    for (const entry of entries) {
      const kind = manifestKind(entry.mediaType);
      if (kind === "manifest") found.push(entry);
      if (kind !== "index") continue;
      if (entry.platform !== null && !runsOn(this.#options.platform, entry.platform)) continue;
      if (depth >= imageLimits.indexDepth) {
        throw this.#limit(`its indexes nest deeper than ${imageLimits.indexDepth} levels`);
      }
      const inner = await this.#manifestOf(entry);
      if (inner.kind !== "index") {
        throw this.#untrusted(`${entry.digest} is a manifest, its own index calls it an index`);
      }
      found.push(...await this.#images(inner.entries, depth + 1));
      if (found.length > maxEntries) throw this.#limit(`it lists over ${maxEntries} images`);
    }
    return found;
  }

  async #manifestOf(entry: Descriptor): Promise<Manifest> {
    if (entry.size > imageLimits.manifestBytes) {
      throw this.#limit(`manifest ${entry.digest} has ${entry.size} bytes`);
    }
    const kept = await this.#kept(entry.digest, imageLimits.manifestBytes);
    const raw = kept ?? await this.#fetched(entry.digest);
    if (raw.bytes.length !== entry.size) {
      throw wrongSize(this.#origin, entry, String(raw.bytes.length));
    }
    if (kept === undefined) this.#checkDigest(raw.bytes, entry.digest);
    const typed = { ...raw, mediaType: raw.mediaType ?? entry.mediaType };
    const manifest = this.#parsed(typed, entry.digest);
    await this.#keep(entry.digest, raw.bytes);
    return manifest;
  }

  async #config(descriptor: Descriptor): Promise<ImageConfig> {
    const { digest, size, mediaType } = descriptor;
    if (!isConfigType(mediaType)) {
      throw pullError(
        this.#origin,
        "precondition",
        `it is no container image: ${quoted(mediaType)}`,
        {
          code: "NOT_AN_IMAGE",
          hint: "Name a repository that holds container images",
        },
      );
    }
    if (size > imageLimits.configBytes) {
      throw this.#limit(`its configuration ${digest} has ${size} bytes`);
    }
    const kept = await this.#options.store?.readSmall(digest, imageLimits.configBytes);
    const bytes = kept?.length === size ? kept : await this.#small(descriptor);
    const config = parseImageConfig(bytes, this.#origin, `its configuration ${digest}`);
    if (!runsOn(this.#options.platform, config)) {
      const made = [config.os, config.architecture, config.variant ?? ""].filter((one) =>
        one !== ""
      );
      const state = `it is for ${quoted(made.join("/"))}, ` +
        `this host runs linux/${this.#options.platform.architecture}`;
      throw pullError(this.#origin, "not_found", state, {
        code: "PLATFORM_MISSING",
        hint: "Choose another image or tag",
      });
    }
    await this.#keep(digest, bytes);
    return config;
  }

  async #small(descriptor: Descriptor): Promise<Uint8Array> {
    const { signal, policy = defaultRetryPolicy } = this.#options;
    const chunks: Uint8Array[] = [];
    for await (const chunk of streamBlob(this.#origin, descriptor, { policy, signal })) {
      chunks.push(chunk.slice());
    }
    return joined(chunks, descriptor.size);
  }

  async #fetched(digest: Digest | null): Promise<RawManifest> {
    if (++this.#manifests > imageLimits.manifests) {
      throw this.#limit(`it leads over more than ${imageLimits.manifests} manifests`);
    }
    const raw = await this.#origin.manifest(digest, this.#options.signal);
    if (raw.bytes.length <= imageLimits.manifestBytes) return raw;
    throw this.#limit(`its manifest has ${raw.bytes.length} bytes`);
  }

  async #kept(digest: Digest, maxBytes: number): Promise<RawManifest | undefined> {
    const bytes = await this.#options.store?.readSmall(digest, maxBytes);
    return bytes === undefined ? undefined : { bytes, mediaType: null, said: null };
  }

  async #keep(digest: Digest, bytes: Uint8Array): Promise<void> {
    this.#needs(digest);
    await this.#options.store?.put(digest, bytes);
  }

  #needs(digest: Digest): void {
    this.#blobs.add(digest);
    this.#options.hold?.add(digest);
  }

  #parsed(raw: RawManifest, digest: Digest): Manifest {
    return parseManifest(raw, this.#origin, `manifest ${digest}`);
  }

  #checkDigest(bytes: Uint8Array, digest: Digest): void {
    const got = digestOf(bytes, digestParts(digest).algorithm);
    if (got === digest) return;
    throw pullError(
      this.#origin,
      "untrusted",
      `what came for manifest ${digest} has another digest`,
      {
        code: "DIGEST_MISMATCH",
        detail: `expected ${digest}\ngot      ${got}`,
      },
    );
  }

  #untrusted(state: string, code = "BAD_MANIFEST") {
    return pullError(this.#origin, "untrusted", state, { code });
  }

  #limit(state: string) {
    return pullError(this.#origin, "exhausted", `${state}, which is over the limit`, {
      code: "IMAGE_LIMIT",
      hint: "Nothing that is usual needs as much: check what this image is",
    });
  }
}

const maxEntries = 4096;

/** The digest of bytes. */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}
