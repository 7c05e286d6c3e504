/**
 * Pulls an image as the daemon's Worker does: in a thread that may use the network and one directory.
 *
 * usage: deno run --allow-all --unstable-worker-options oci_pull_main.ts REFERENCE DIR
 *
 * Prints one line of JSON: digest, bytes of the layers, time, and the memory used most.
 */
import { parseImageReference } from "../../src/model/image_reference.ts";
import { BlobStore } from "../../src/oci/blob_store.ts";
import { BlobFetcher } from "../../src/oci/fetch_blobs.ts";
import { openRegistry } from "../../src/oci/registry.ts";
import { RegistryTransport } from "../../src/oci/registry_transport.ts";
import { resolveImage } from "../../src/oci/resolve_image.ts";

const inWorker = "WorkerGlobalScope" in globalThis;

if (inWorker) {
  self.onmessage = async ({ data }) => {
    const { reference, dir, uid } = data as { reference: string; dir: string; uid: number };
    try {
      self.postMessage(await pull(reference, dir, uid));
    } catch (error) {
      self.postMessage({ error: `${error instanceof Error ? error.stack : error}` });
    }
  };
} else {
  const [reference = "", dir = ""] = Deno.args;
  const worker = new Worker(import.meta.url, {
    type: "module",
    deno: {
      permissions: {
        ...{ read: [dir], write: [dir], net: true },
        ...{ env: false, run: false, ffi: false, sys: false, import: false },
      },
    },
  });
  const answered = Promise.withResolvers<unknown>();
  worker.onmessage = ({ data }) => answered.resolve(data);
  worker.postMessage({ reference, dir, uid: Deno.uid() });
  const answer = await answered.promise;
  worker.terminate();
  const status = await Deno.readTextFile("/proc/self/status");
  const peakKib = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0);
  const line = JSON.stringify({ ...(answer as object), peakKib });
  await Deno.stdout.write(new TextEncoder().encode(`${line}\n`));
}

async function pull(reference: string, dir: string, uid: number): Promise<unknown> {
  const { signal } = new AbortController();
  const store = BlobStore.open(`${dir}/blobs`, uid);
  using transport = new RegistryTransport();
  using hold = store.hold();
  const origin = openRegistry({
    reference: parseImageReference(reference),
    credentials: null,
    transport,
  });
  let [latestMs, lateMs] = [performance.now(), 0];
  const ticker = setInterval(() => {
    const now = performance.now();
    lateMs = Math.max(lateMs, now - latestMs - 5);
    latestMs = now;
  }, 5);
  const startMs = performance.now();
  const platform = { architecture: "amd64" } as const;
  const image = await resolveImage(origin, { platform, signal, store, hold });
  await new BlobFetcher(store).fetch(origin, image.layers, { signal });
  clearInterval(ticker);
  return {
    digest: image.digest,
    layerBytes: image.layerBytes,
    ms: Math.round(performance.now() - startMs),
    lateMs: Math.round(lateMs),
  };
}
