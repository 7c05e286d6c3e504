import { createHash } from "node:crypto";
import { described, type FakeBlob } from "./fake_registry.ts";

const manifestType = "application/vnd.oci.image.manifest.v1+json";

/** The files of an OCI image layout by their names. */
export type LayoutFiles = Map<string, Uint8Array<ArrayBuffer>>;

/** A blob with its digest. */
export function blobOf(content: unknown): FakeBlob {
  const bytes = content instanceof Uint8Array
    ? new Uint8Array(content)
    : new TextEncoder().encode(typeof content === "string" ? content : JSON.stringify(content));
  return { bytes, digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}` };
}

/** The configuration of an image with these layers. */
export function configOf(
  layers: readonly Uint8Array[],
  architecture = "amd64",
  config: object = { Cmd: ["sh"] },
): FakeBlob {
  return blobOf({
    architecture,
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: layers.map((layer) => blobOf(layer).digest) },
  });
}

/** A layout with one image for each tag; uncompressed layers, each with the same configuration. */
export function layoutOf(
  images: Readonly<Record<string, readonly Uint8Array[]>>,
  config?: object,
): LayoutFiles {
  const files: LayoutFiles = new Map();
  const add = (blob: FakeBlob) => {
    files.set(`blobs/${blob.digest.replace(":", "/")}`, blob.bytes);
    return blob;
  };
  const manifests = Object.entries(images).map(([tag, layers]) => {
    const manifest = add(blobOf({
      schemaVersion: 2,
      config: described(
        "application/vnd.oci.image.config.v1+json",
        add(configOf(layers, "amd64", config)),
      ),
      layers: layers.map((layer) =>
        described("application/vnd.oci.image.layer.v1.tar", add(blobOf(layer)))
      ),
    }));
    const annotations = { "org.opencontainers.image.ref.name": tag };
    return { ...described(manifestType, manifest), ...(tag === "" ? {} : { annotations }) };
  });
  files.set("oci-layout", blobOf({ imageLayoutVersion: "1.0.0" }).bytes);
  files.set("index.json", blobOf({ schemaVersion: 2, manifests }).bytes);
  return files;
}

/** Writes a layout into `dir`. */
export async function writeLayout(dir: string, files: LayoutFiles): Promise<void> {
  for (const [name, bytes] of files) {
    const path = `${dir}/${name}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(path, bytes);
  }
}
