import type { BlobStore } from "./blob_store.ts";
import type { Descriptor, ImageOrigin } from "./image_origin.ts";
import { defaultRetryPolicy } from "./retries.ts";
import { streamBlob } from "./stream_blob.ts";

/**
 * The compressed bytes of a layer: from the store when they are there, where they were verified, else
 * straight from the origin, verified while they come. So a local image needs no copy of its layers.
 *
 * A chunk is valid until the next one is asked for. Only when the iteration ends without an error may
 * what came be believed.
 *
 * @throws BangerError as {@linkcode streamBlob}
 */
export async function* openLayer(
  origin: ImageOrigin,
  layer: Descriptor,
  { store, signal }: { readonly store: BlobStore; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const isHere = await store.size(layer.digest) === layer.size;
  if (!isHere) return yield* streamBlob(origin, layer, { policy: defaultRetryPolicy, signal });
  for await (const chunk of store.read(layer.digest)) {
    signal.throwIfAborted();
    yield chunk;
  }
}
