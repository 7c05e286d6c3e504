import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { entryBytes, joined, tarOf } from "./layer_fixture.ts";
import { described, type FakeBlob, type FakeRegistry } from "./fake_registry.ts";

const image = "application/vnd.oci.image";

/** A layer as it is stored, and the tar inside. */
export interface ServedLayer {
  readonly stored: Uint8Array;
  /** Digest of the tar inside; of `stored` when left out. */
  readonly diffId?: string;
  readonly isGzip?: boolean;
}

/** What {@linkcode serveImage} put into a registry. */
export interface ServedImage {
  readonly layers: readonly FakeBlob[];
  readonly config: FakeBlob;
  readonly manifest: FakeBlob;
}

/** Puts an image with these layers under `tag`; `change` may spoil the manifest. */
export function serveImage(
  registry: FakeRegistry,
  tag: string,
  layers: readonly ServedLayer[],
  change: (manifest: Record<string, unknown>) => unknown = (manifest) => manifest,
): ServedImage {
  const added = layers.map(({ stored }) => registry.addBlob(new Uint8Array(stored)));
  const config = registry.addBlob(
    new TextEncoder().encode(JSON.stringify({
      ...{ architecture: "amd64", os: "linux", config: {} },
      rootfs: {
        type: "layers",
        diff_ids: layers.map(({ stored, diffId }) => diffId ?? digestOf(stored)),
      },
    })),
  );
  const manifest = registry.addManifest(
    change({
      ...{ schemaVersion: 2, mediaType: `${image}.manifest.v1+json` },
      config: described(`${image}.config.v1+json`, config),
      layers: added.map((blob, index) =>
        described(`${image}.layer.v1.tar${layers[index]?.isGzip ? "+gzip" : ""}`, blob)
      ),
    }),
    tag,
  );
  return { layers: added, config, manifest };
}

/** A gzip layer of these bytes. */
export function gzipLayer(tar: Uint8Array): ServedLayer {
  return { stored: gzipSync(tar, { level: 1 }), diffId: digestOf(tar), isGzip: true };
}

/** A layer of zeros that is small as stored: a file of `gib` GiB, in a thousandth of that. */
export function zeroBomb(gib: number): ServedLayer {
  const memberBytes = 16 * 1024 ** 2;
  const start = entryBytes({ name: "zeros", size: gib * 1024 ** 3 });
  const member = gzipSync(new Uint8Array(memberBytes));
  const members = Array.from({ length: gib * 1024 ** 3 / memberBytes }, () => member);
  return {
    stored: joined([gzipSync(start), ...members, gzipSync(new Uint8Array(1024))]),
    // Nobody comes so far.
    diffId: `sha256:${"0".repeat(64)}`,
    isGzip: true,
  };
}

/** An image of harmless files, which every pull must bring. */
export function benignLayer(): ServedLayer {
  return gzipLayer(tarOf([{ name: "etc/" }, { name: "etc/os-release", content: "ID=benign\n" }]));
}

/** The digest of some bytes. */
export function digestOf(bytes: Uint8Array): `sha256:${string}` {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
