import type { Digest } from "../model/digest.ts";
import type { Descriptor } from "./image_origin.ts";
import { imageLimits } from "./limits.ts";
import { isForeignLayer, type LayerCompression, layerCompression } from "./media_types.ts";
import { pullError, type PullSubject, quoted } from "./oci_error.ts";

/** One layer of an image. */
export interface Layer extends Descriptor {
  /** What the manifest says; whoever unpacks it looks at its first bytes, too. */
  readonly compression: LayerCompression;
  /** Digest of the uncompressed tar, which must be checked while unpacking. */
  readonly diffId: Digest;
}

/**
 * The layers of a manifest with their diff ids from the configuration.
 *
 * @throws BangerError `untrusted` when the two do not agree, `precondition` for a type that cannot be
 * used, `exhausted` beyond a limit
 */
export function checkLayers(
  descriptors: readonly Descriptor[],
  diffIds: readonly Digest[],
  subject: PullSubject,
): Layer[] {
  if (descriptors.length !== diffIds.length) {
    const state = `it has ${descriptors.length} layers, its configuration ${diffIds.length}`;
    throw pullError(subject, "untrusted", state, { code: "BAD_MANIFEST" });
  }
  const sizes = new Map<Digest, number>();
  let totalBytes = 0;
  return descriptors.map((descriptor, at) => {
    const { digest, size, mediaType } = descriptor;
    const compression = layerCompression(mediaType);
    const diffId = diffIds[at];
    if (compression === undefined || diffId === undefined) throw badType(descriptor, subject);
    if ((sizes.get(digest) ?? size) !== size) {
      const state = `it gives layer ${digest} two sizes`;
      throw pullError(subject, "untrusted", state, { code: "SIZE_MISMATCH" });
    }
    if (!sizes.has(digest)) totalBytes += size;
    sizes.set(digest, size);
    if (size > imageLimits.layerBytes || totalBytes > imageLimits.totalBytes) {
      const state = `with layer ${digest} it has ${totalBytes} bytes, which is over the limit`;
      throw pullError(subject, "exhausted", state, { code: "IMAGE_LIMIT" });
    }
    return { digest, size, mediaType, compression, diffId };
  });
}

function badType({ digest, mediaType }: Descriptor, subject: PullSubject) {
  const why = isForeignLayer(mediaType)
    ? "is kept by its publisher at another place, which is not followed"
    : "is of a type that is not known";
  const state = `layer ${digest} ${why}: ${quoted(mediaType)}`;
  return pullError(subject, "precondition", state, {
    code: "BAD_LAYER_TYPE",
    hint: "Choose an image with ordinary layers",
  });
}
