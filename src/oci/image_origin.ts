/**
 * Images in the form of the OCI image specification: from a registry, an image layout or a `docker
 * save` archive to verified blobs in a content-addressed directory.
 *
 * Owns: the registry's protocol and tokens, manifests and their choice by platform, image
 * configurations, the blob store. `host/` is the half that runs with the user's rights in the CLI:
 * the Docker config's credentials, and the bytes of local images. Knows nothing of what is inside a
 * layer. Must not import anything above rank 2, nor another folder of rank 3.
 */
import type { Digest } from "../model/digest.ts";

/** What a manifest says about a piece of content. Size and digest are what it must turn out to be. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** Bytes of a manifest or index, as they came. */
export interface RawManifest {
  readonly bytes: Uint8Array;
  /** What the sender called it; `null` when it did not say. */
  readonly mediaType: string | null;
  /** The digest that the sender gave along; `null` when it did not. */
  readonly said: string | null;
}

/** Content on its way. */
export interface BlobStream {
  /** Where it really starts: 0 when the origin cannot start where it was asked to. */
  readonly offset: number;
  /** A chunk is valid until the next one is asked for. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Where one image comes from. Nothing that it gives is verified: `resolve_image.ts` and
 * `stream_blob.ts` do that for all origins.
 *
 * Methods throw BangerError `not_found`, `precondition` (not allowed), `unavailable`, `untrusted`
 * (of a form that cannot be right), `exhausted` (beyond a limit), and the reason of the signal.
 */
export interface ImageOrigin {
  /** How errors name the image; registry and repository are part of it. */
  readonly label: string;
  /** The next step for whoever cannot get the image. */
  readonly hint: string;
  /** The digest that the user asked for; what {@linkcode manifest} answers must have it. */
  readonly pinned: Digest | null;
  /** Whether it is in the user's own files, where another try brings the same. */
  readonly isLocal?: boolean;
  /** The manifest or index that the name stands for, or the one with `digest`. Tries again by itself. */
  manifest(digest: Digest | null, signal: AbortSignal): Promise<RawManifest>;
  /**
   * Content from byte `offset` on.
   *
   * @throws also TransientError, from here or within the chunks, where another try may go on
   */
  blob(descriptor: Descriptor, offset: number, signal: AbortSignal): Promise<BlobStream>;
}

/** An image in the user's own files. */
export interface LocalOrigin extends ImageOrigin {
  readonly isLocal: true;
  /** What the files call it, in no particular form. */
  names(signal: AbortSignal): Promise<readonly string[]>;
}
