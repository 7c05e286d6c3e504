import * as v from "valibot";
import { begun, count, method, nameOf, nothing } from "./schema.ts";

/** How what came from a catalog was published; `null` for what did not. */
const publication = v.nullable(v.object({
  bundle: v.string(),
  signer: v.string(),
  madeAtMs: count,
}));

/** An image as clients see it. */
export const imageView = v.object({
  name: v.string(),
  digest: v.string(),
  source: v.string(),
  /** Why from there and not from the source before it. */
  sourceReason: v.nullable(v.string()),
  publication,
  arch: v.string(),
  kernel: v.string(),
  virtualBytes: count,
  /** What its file system really takes on the host's disk. */
  diskBytes: count,
  /** What is kept besides of what it was made of. */
  blobBytes: count,
  /** How much of both other images use, too. */
  sharedBytes: count,
  createdAtMs: count,
  managed: v.boolean(),
  rootfsPath: v.string(),
  /** What a new VM's work disk begins with; `null`: the home directory of the image. */
  workSeed: v.nullable(v.object({ digest: v.string(), virtualBytes: count })),
  /** What it says about the programs that run in it; `null` where its source says nothing. */
  run: v.nullable(v.object({
    env: v.array(v.string()),
    workingDir: v.string(),
    user: v.string(),
    entrypoint: v.array(v.string()),
    cmd: v.array(v.string()),
  })),
  /** Names of the VMs that use it. */
  usedBy: v.array(v.string()),
});

/** See {@linkcode imageView}. */
export type ImageView = v.InferOutput<typeof imageView>;

/** A kernel as clients see it. */
export const kernelView = v.object({
  name: v.string(),
  digest: v.string(),
  version: v.string(),
  /** As it was published. */
  format: v.string(),
  commandLine: v.array(v.string()),
  source: v.string(),
  sourceReason: v.nullable(v.string()),
  publication,
  arch: v.string(),
  diskBytes: count,
  createdAtMs: count,
  usedBy: v.array(v.string()),
});

/** See {@linkcode kernelView}. */
export type KernelView = v.InferOutput<typeof kernelView>;

const secret = v.pipe(v.string(), v.maxLength(64 * 1024));
const domain = v.pipe(v.string(), v.maxLength(255));

/** What opens one registry; never logged or kept. */
const registryCredentials = v.variant("kind", [
  v.strictObject({ kind: v.literal("password"), domain, username: secret, password: secret }),
  v.strictObject({ kind: v.literal("identity_token"), domain, token: secret }),
  v.strictObject({ kind: v.literal("registry_token"), domain, token: secret }),
]);

/** An offer of `image.offer`: nobody else can guess it. */
const offer = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/));

/** Methods on images. Pull of what is already here succeeds at once unless `refresh`. */
export const imageMethods = {
  "image.list": method(nothing, v.object({ images: v.array(imageView) })),
  "image.show": method(
    v.strictObject({ image: nameOf("image") }),
    v.object({ image: imageView }),
  ),
  "image.pull": method(v.strictObject({ image: nameOf("image"), refresh: v.boolean() }), begun),
  /** `name` `null` takes the one that follows from the reference. */
  "image.pull_registry": method(
    v.strictObject({
      reference: v.pipe(v.string(), v.maxLength(1024)),
      name: v.nullable(nameOf("image")),
      refresh: v.boolean(),
      credentials: v.nullable(registryCredentials),
    }),
    begun,
  ),
  /**
   * Upgrades the connection: the client serves the bytes of one image of the user's files over it
   * (`oci/bytes_messages.ts`), for the pull that names the offer. The daemon itself opens no path
   * that a client names.
   */
  "image.offer": method(nothing, v.object({ offer, upgraded: v.literal("banger-mux/1") })),
  /**
   * An image of the user's files, `oci:DIR` or `docker-archive:FILE` with an absolute path, which is
   * only a name here. `name` `null` takes the one that follows from the source.
   */
  "image.pull_local": method(
    v.strictObject({
      source: v.pipe(v.string(), v.maxLength(8192)),
      offer,
      name: v.nullable(nameOf("image")),
      refresh: v.boolean(),
    }),
    begun,
  ),
  /**
   * Makes a file of the user's an image where it is, which is never written. `kernel` `null` takes the
   * usual one.
   */
  "image.register": method(
    v.strictObject({
      image: nameOf("image"),
      rootfs: v.pipe(v.string(), v.maxLength(4096), v.startsWith("/"), v.excludes("\0")),
      kernel: v.nullable(nameOf("kernel")),
    }),
    v.object({ image: imageView }),
  ),
  /** Copies the file of a registered image into banger's own directory. */
  "image.promote": method(v.strictObject({ image: nameOf("image") }), begun),
  /** Removes what nothing needs, with `all` also what no VM uses; `dryRun` only tells. */
  "image.prune": method(
    v.strictObject({ all: v.boolean(), dryRun: v.boolean() }),
    v.object({
      removed: v.array(v.object({
        kind: v.picklist(["image", "kernel", "kit", "blobs", "leftover"]),
        name: v.string(),
        reason: v.string(),
        bytes: count,
      })),
      bytes: count,
    }),
  ),
  /** Refused with `conflict` while a VM uses it. */
  "image.delete": method(v.strictObject({ image: nameOf("image") }), nothing),
} as const;

/** Methods on kernels. */
export const kernelMethods = {
  "kernel.list": method(nothing, v.object({ kernels: v.array(kernelView) })),
  "kernel.show": method(
    v.strictObject({ kernel: nameOf("kernel") }),
    v.object({ kernel: kernelView }),
  ),
  "kernel.pull": method(v.strictObject({ kernel: nameOf("kernel"), refresh: v.boolean() }), begun),
  "kernel.delete": method(v.strictObject({ kernel: nameOf("kernel") }), nothing),
} as const;
