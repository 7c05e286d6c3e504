import { createHash, type Hash } from "node:crypto";
import { digestParts } from "../model/digest.ts";
import type { Descriptor, ImageOrigin } from "./image_origin.ts";
import { pullError } from "./oci_error.ts";
import { Retries, type RetryPolicy } from "./retries.ts";

/** What of a blob is here already, from an earlier try. */
export interface BlobStart {
  readonly offset: number;
  /** Has seen exactly the `offset` bytes. */
  readonly hash: Hash;
}

/** A hash that can check the content of `descriptor`. */
export function hashFor(descriptor: Descriptor): Hash {
  return createHash(digestParts(descriptor.digest).algorithm);
}

/**
 * The bytes of a blob from `start` on, hashed on the way. After a failure that another try may mend
 * it goes on where it was; an origin that can only start at 0 has what was seen skipped. Ends
 * normally only when size and digest hold: until then nothing of it may be believed.
 *
 * A chunk is valid until the next one is asked for.
 *
 * @throws BangerError `untrusted` for a wrong size or digest, and as {@linkcode ImageOrigin}
 */
export async function* streamBlob(
  origin: ImageOrigin,
  descriptor: Descriptor,
  options: {
    readonly policy: RetryPolicy;
    readonly signal: AbortSignal;
    readonly start?: BlobStart;
  },
): AsyncGenerator<Uint8Array> {
  const { signal } = options;
  const hash = options.start?.hash ?? hashFor(descriptor);
  const retries = new Retries(origin.label, options.policy);
  let seen = options.start?.offset ?? 0;
  while (seen < descriptor.size) {
    try {
      const { offset, chunks } = await origin.blob(descriptor, seen, signal);
      let at = offset;
      for await (const chunk of chunks) {
        signal.throwIfAborted();
        const fresh = chunk.subarray(Math.min(chunk.length, Math.max(0, seen - at)));
        at += chunk.length;
        if (fresh.length === 0) continue;
        seen += fresh.length;
        if (seen > descriptor.size) throw wrongSize(origin, descriptor, "more");
        hash.update(fresh);
        retries.progress();
        yield fresh;
      }
      if (seen < descriptor.size) throw wrongSize(origin, descriptor, `only ${seen}`);
    } catch (error) {
      await retries.wait(error, signal);
    }
  }
  const { algorithm, hex } = digestParts(descriptor.digest);
  const got = hash.digest("hex");
  if (got === hex) return;
  throw pullError(origin, "untrusted", `what came for ${descriptor.digest} has another digest`, {
    code: "DIGEST_MISMATCH",
    detail: `expected ${descriptor.digest}\ngot      ${algorithm}:${got}`,
    hint: damagedHint(origin),
  });
}

/** The error for content of another length than its descriptor tells. */
export function wrongSize(origin: ImageOrigin, { digest, size }: Descriptor, got: string) {
  return pullError(origin, "untrusted", `${digest} has ${got} bytes, ${size} were expected`, {
    code: "SIZE_MISMATCH",
    hint: damagedHint(origin),
  });
}

function damagedHint({ hint, isLocal }: ImageOrigin): string {
  return isLocal === true
    ? hint
    : "The registry or something on the way damages it: try again, or use another registry";
}
