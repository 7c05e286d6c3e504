import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";

/** A layer in an OCI layout. */
export interface StoredLayer {
  readonly path: string;
  readonly digest: string;
  readonly diffId: string;
  readonly bytes: number;
}

const suffixes = { gzip: "+gzip", zstd: "+zstd", none: "" } as const;

/** How a layer is to be stored. */
export type StoredForm = keyof typeof suffixes;

/** Writes an OCI image layout with one image, tagged `test`, of these tars, and tells its layers. */
export async function writeOciLayout(
  dir: string,
  tars: readonly Uint8Array[],
  form: StoredForm = "gzip",
): Promise<StoredLayer[]> {
  await Deno.mkdir(`${dir}/blobs/sha256`, { recursive: true });
  const put = async (bytes: Uint8Array) => {
    const hex = createHash("sha256").update(bytes).digest("hex");
    const path = `${dir}/blobs/sha256/${hex}`;
    await Deno.writeFile(path, bytes);
    return { path, digest: `sha256:${hex}`, bytes: bytes.length };
  };
  const layers: StoredLayer[] = [];
  for (const tar of tars) {
    const diffId = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
    layers.push({ ...await put(compressed(tar, form)), diffId });
  }
  const config = await put(json({
    created: "2020-01-01T00:00:00Z",
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    config: {},
    history: layers.map(() => ({ created_by: "test" })),
  }));
  const image = "application/vnd.oci.image";
  const manifest = await put(json({
    schemaVersion: 2,
    mediaType: `${image}.manifest.v1+json`,
    config: { mediaType: `${image}.config.v1+json`, digest: config.digest, size: config.bytes },
    layers: layers.map(({ digest, bytes }) => ({
      mediaType: `${image}.layer.v1.tar${suffixes[form]}`,
      digest,
      size: bytes,
    })),
  }));
  await Deno.writeFile(`${dir}/oci-layout`, json({ imageLayoutVersion: "1.0.0" }));
  await Deno.writeFile(
    `${dir}/index.json`,
    json({
      schemaVersion: 2,
      manifests: [{
        mediaType: `${image}.manifest.v1+json`,
        digest: manifest.digest,
        size: manifest.bytes,
        annotations: { "org.opencontainers.image.ref.name": "test" },
      }],
    }),
  );
  return layers;
}

/** The bytes in another form. */
export function compressed(tar: Uint8Array, form: StoredForm): Uint8Array {
  if (form === "none") return tar;
  return form === "gzip" ? gzipSync(tar, { level: 1 }) : zstdCompressSync(tar);
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
