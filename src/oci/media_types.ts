/** What a manifest, or something it points to, can be. */
export type ManifestKind = "index" | "manifest";

const manifestKinds: ReadonlyMap<string, ManifestKind> = new Map([
  ["application/vnd.oci.image.index.v1+json", "index"],
  ["application/vnd.docker.distribution.manifest.list.v2+json", "index"],
  ["application/vnd.oci.image.manifest.v1+json", "manifest"],
  ["application/vnd.docker.distribution.manifest.v2+json", "manifest"],
]);

/** For the `Accept` header of a request for a manifest. */
export const acceptedManifests = [...manifestKinds.keys()].join(", ");

/** Media types of OCI's own. */
export const ociTypes = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
} as const;

const configTypes: ReadonlySet<string> = new Set([
  ociTypes.config,
  "application/vnd.docker.container.image.v1+json",
]);

/** How a layer's tar is compressed. */
export type LayerCompression = "none" | "gzip" | "zstd";

const layerTypes: ReadonlyMap<string, LayerCompression> = new Map([
  [ociTypes.layer, "none"],
  [`${ociTypes.layer}+gzip`, "gzip"],
  [`${ociTypes.layer}+zstd`, "zstd"],
  ["application/vnd.docker.image.rootfs.diff.tar", "none"],
  ["application/vnd.docker.image.rootfs.diff.tar.gzip", "gzip"],
  ["application/vnd.docker.image.rootfs.diff.tar.zstd", "zstd"],
]);

/** The kind of a manifest's media type; `undefined` for what is none, or of a schema of the past. */
export function manifestKind(mediaType: string): ManifestKind | undefined {
  return manifestKinds.get(mediaType);
}

/** Whether it is the manifest of Docker before 1.10, whose layers carry no digests of their own. */
export function isSchema1(mediaType: string): boolean {
  return /^application\/vnd\.docker\.distribution\.manifest\.v1\+(prettyjws|json)$/.test(mediaType);
}

/** Whether it is an image's configuration. */
export function isConfigType(mediaType: string): boolean {
  return configTypes.has(mediaType);
}

/** How a layer of this type is compressed; `undefined` for what is no layer that can be used. */
export function layerCompression(mediaType: string): LayerCompression | undefined {
  return layerTypes.get(mediaType);
}

/** Whether it is a layer that its publisher keeps elsewhere; those are not fetched. */
export function isForeignLayer(mediaType: string): boolean {
  return /\.(nondistributable|foreign)\./.test(mediaType);
}

/** A `Content-Type` without its parameters, in lower case. */
export function bareType(contentType: string | null): string | null {
  const bare = contentType?.split(";")[0]?.trim().toLowerCase() ?? "";
  return bare === "" ? null : bare;
}
