import { toWireError } from "../../src/api/codec.ts";
import type { RunFlattener } from "../../src/layers/apart/flatten_apart.ts";
import { purposes } from "../../src/layers/apart/flatten_job.ts";
import { flattenLayers } from "../../src/layers/flatten_layers.ts";
import { blobPath } from "../../src/oci/blob_path.ts";

/** A flattener in this thread, with the same answers as the process's. */
export function flattenHere(
  { stagingDir, blobsDir }: { readonly stagingDir: string; readonly blobsDir: string },
): RunFlattener {
  return async (
    { staging, file, purpose, layers, sizeBytes, uuid, madeSeconds },
    onText,
    signal,
  ) => {
    const answer = (value: unknown) => onText(`${JSON.stringify(value)}\n`);
    try {
      const { usedBytes, inodes } = await flattenLayers({
        layers: layers.map(({ digest, diffId }) => ({
          label: digest,
          diffId,
          open: () => readWhenThere(blobPath(blobsDir, digest), signal),
        })),
        out: `${stagingDir}/${staging}/${file}`,
        ...purposes[purpose],
        sizeBytes,
        uuid: Uint8Array.fromHex(uuid),
        made: { seconds: madeSeconds, nanoseconds: 0 },
        signal,
        onProgress: (progress) => answer({ type: "progress", ...progress }),
      });
      answer({ type: "done", usedBytes, inodes });
      return { code: 0, stderr: "" };
    } catch (error) {
      signal.throwIfAborted();
      answer({ type: "failed", error: toWireError(error) });
      return { code: 1, stderr: "" };
    }
  };
}

async function* readWhenThere(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (;;) {
    signal.throwIfAborted();
    try {
      yield await Deno.readFile(path);
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
