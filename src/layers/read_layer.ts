import { createHash, type Hash } from "node:crypto";
import { BangerError } from "../model/errors.ts";
import { inflate } from "./inflate.ts";
import type { LayerLimits } from "./limits.ts";
import { refusal } from "./refusal.ts";

/** One layer of an image. */
export interface LayerSource {
  /** How errors name it: its digest. */
  readonly label: string;
  /** Its bytes as they are stored: gzip, zstd or plain tar. Called once. */
  open(): AsyncIterable<Uint8Array>;
  /** Digest of these bytes (`sha256:…`), checked when given. */
  readonly digest?: string;
  /** Digest of the tar inside, checked when given. */
  readonly diffId?: string;
}

/** What a layer turned out to be. */
export interface LayerDigests {
  /** Of the bytes as stored; `null` where whoever read them left that to others. */
  readonly digest: string | null;
  readonly diffId: string;
  /** Bytes as stored, and of the tar inside. */
  readonly storedBytes: number;
  readonly tarBytes: number;
}

/** A layer that is being read: first its tar, then its digests. */
export interface LayerReading {
  /** The tar inside. A chunk is only valid until the next one. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Bytes read so far. */
  readonly storedBytes: number;
  /**
   * What was read, once `chunks` has ended.
   *
   * @throws BangerError `untrusted` when a digest that was given does not hold
   */
  digests(): LayerDigests;
}

/**
 * Starts to read a layer. Where it runs is open: here, or in a Worker that posts the chunks.
 *
 * @param tarBytesBefore inflated bytes of the layers before: the limit is on all of them
 */
export type ReadLayer = (
  layer: LayerSource,
  limits: LayerLimits,
  tarBytesBefore: number,
) => LayerReading;

/** Reads a layer in this thread, hashing both forms on the way. */
export const readLayer: ReadLayer = (layer, limits, tarBytesBefore) => {
  const stored = createDigest(layer.label, layer.digest);
  async function* storedChunks() {
    for await (const chunk of layer.open()) {
      stored.update(chunk);
      yield chunk;
    }
  }
  return hashedReading(layer, limits, tarBytesBefore, inflate(storedChunks(), layer.label), {
    get bytes() {
      return stored.bytes;
    },
    check: () => stored.check("bytes"),
  });
};

/** The stored form of a layer while it is read, wherever that is. */
export interface StoredForm {
  /** Bytes read so far. */
  readonly bytes: number;
  /** Its digest, once all is read; `null` when nobody looked. @throws BangerError `untrusted` */
  check(): string | null;
}

/** Hashes what was inflated of a layer, and ends it at the limits. */
export function hashedReading(
  layer: Pick<LayerSource, "label" | "diffId">,
  limits: LayerLimits,
  tarBytesBefore: number,
  inflated: AsyncIterable<Uint8Array>,
  stored: StoredForm,
): LayerReading {
  const tar = createDigest(layer.label, layer.diffId);
  async function* tarChunks() {
    for await (const chunk of inflated) {
      tar.update(chunk);
      checkInflated(layer.label, limits, tarBytesBefore + tar.bytes, tar.bytes, stored.bytes);
      yield chunk;
    }
  }
  return {
    chunks: tarChunks(),
    get storedBytes() {
      return stored.bytes;
    },
    digests: () => ({
      digest: stored.check(),
      diffId: tar.check("content"),
      storedBytes: stored.bytes,
      tarBytes: tar.bytes,
    }),
  };
}

function checkInflated(
  label: string,
  limits: LayerLimits,
  allBytes: number,
  tarBytes: number,
  storedBytes: number,
): void {
  if (allBytes > limits.inflatedBytes) {
    const rule = `inflates to more than the ${limits.inflatedBytes} bytes that an image may have`;
    throw refusal(label, "it", rule, "IMAGE_LIMIT");
  }
  if (tarBytes > limits.ratioFromBytes && tarBytes > storedBytes * limits.ratio) {
    throw refusal(
      label,
      "it",
      `inflates to more than ${limits.ratio} times its size`,
      "IMAGE_LIMIT",
    );
  }
}

/** A running digest, and the one that it must be in the end. */
class ExpectedDigest {
  readonly #label: string;
  readonly #expected: string | undefined;
  readonly #algorithm: string;
  readonly #hash: Hash;
  bytes = 0;

  constructor(label: string, expected: string | undefined, algorithm: string) {
    this.#label = label;
    this.#expected = expected;
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  update(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
  }

  check(what: string): string {
    const digest = `${this.#algorithm}:${this.#hash.digest("hex")}`;
    if (this.#expected === undefined || digest === this.#expected) return digest;
    throw new BangerError(
      "untrusted",
      `Cannot unpack layer "${this.#label}": the digest of its ${what} is ${digest}, ` +
        `not ${this.#expected}`,
      { code: "IMAGE_DIGEST" },
    );
  }
}

function createDigest(label: string, expected: string | undefined): ExpectedDigest {
  const algorithm = expected === undefined ? "sha256" : /^(sha256|sha512):/.exec(expected)?.[1];
  if (algorithm !== undefined) return new ExpectedDigest(label, expected, algorithm);
  throw new BangerError(
    "untrusted",
    `Cannot unpack layer "${label}": its digest is neither sha256 nor sha512`,
    { code: "IMAGE_DIGEST" },
  );
}
