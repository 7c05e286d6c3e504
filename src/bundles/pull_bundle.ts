import type { CatalogEntry, CatalogTrust } from "../catalog/catalog.ts";
import { fetchBytes } from "../catalog/fetch_bytes.ts";
import { fetchFile } from "../catalog/fetch_file.ts";
import { notThereCode } from "../catalog/fetch_within.ts";
import {
  type DetachedSignature,
  maxSignatureBytes,
  openSignature,
  unverifiedCode,
} from "../catalog/detached_signature.ts";
import { BangerError, isBangerError } from "../model/errors.ts";
import type { StageReporter } from "../model/stages.ts";
import type { BundleMetadata, MemberName } from "./bundle.ts";
import { bundleFault } from "./bundle_fault.ts";
import { checkKernel } from "./check_kernel.ts";
import { readBundle } from "./read_bundle.ts";

/** What a pull needs to know. */
export interface PullBundleOptions {
  /** Fresh private directory that gets the files; removed by the caller. */
  readonly stagingDir: string;
  readonly trust: CatalogTrust;
  /** The time of the check of signature and key. */
  readonly nowMs: number;
  /** The uncompressed kernel of a boot image (`src/kernels/extract_vmlinux.ts`). */
  readonly extractKernel: (image: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>;
  /** Throws when so many bytes do not fit into the staging directory. */
  readonly checkSpace?: (neededBytes: number) => Promise<void>;
  /** A bundle made before this is refused: nobody may bring back one that was replaced. */
  readonly notBeforeMs?: number;
  readonly reporter: StageReporter;
  readonly signal: AbortSignal;
  /** Passed on to downloads. */
  readonly stallTimeoutMs?: number;
  readonly retryDelaysMs?: readonly number[];
}

/** A bundle that was pulled: names of files in the staging directory. */
export interface PulledBundle {
  readonly metadata: BundleMetadata;
  /** `sha256:…` of the bundle's file. */
  readonly digest: string;
  /** Fingerprint of the key that has signed it. */
  readonly signer: string;
  readonly files: {
    readonly rootfs: string | null;
    /** Uncompressed, for direct boot, also when the bundle had a `bzImage`. */
    readonly vmlinux: string;
    readonly initrd: string | null;
    readonly modules: string | null;
    readonly workSeed: string | null;
    readonly kit: string | null;
  };
}

/** Where the bundle is until it is unpacked. */
const spoolName = "bundle.download";

const chunkBytes = 1024 * 1024;

/**
 * Fetches the bundle of a catalog's entry, an image or a kernel, into a staging directory. It is
 * unpacked only when its hash is the catalog's and its one signature is good and of a pinned key;
 * what it says about itself must be what the entry says. On failure the staging directory is as empty as it
 * was.
 *
 * @throws BangerError `untrusted`, `precondition` when no key is pinned, `unavailable`, `exhausted`,
 * `cancelled`; what `checkSpace` and `extractKernel` throw
 */
export async function pullBundle(
  entry: CatalogEntry,
  options: PullBundleOptions,
): Promise<PulledBundle> {
  const spool = `${options.stagingDir}/${spoolName}`;
  try {
    await options.checkSpace?.(entry.size);
    const signature = await signatureOf(entry, options);
    await download(entry, spool, options);
    await verify(entry, spool, signature, options);
    const metadata = await unpack(entry, spool, options);
    try {
      await unpackKernel(metadata, options);
    } catch (error) {
      await removeMembers(metadata, options.stagingDir);
      throw error;
    }
    const digest = `sha256:${entry.sha256}`;
    return { metadata, digest, signer: signature.fingerprint, files: filesOf(metadata) };
  } catch (error) {
    throw asPullFailure(error, entry, options);
  } finally {
    await Deno.remove(spool).catch(() => {});
  }
}

async function download(
  entry: CatalogEntry,
  spool: string,
  options: PullBundleOptions,
): Promise<void> {
  const stage = { id: "bundle.download", title: `Downloading ${entry.kind} ${entry.name}` };
  await options.reporter.stage(stage, async (report) => {
    await fetchFile(spool, {
      ...transferOptions(options),
      url: entry.url,
      expected: entry,
      onProgress: (bytes, total) => report(bytes, total, "bytes"),
    });
  });
}

async function verify(
  entry: CatalogEntry,
  spool: string,
  signature: DetachedSignature,
  { reporter, signal }: PullBundleOptions,
): Promise<void> {
  const stage = { id: "bundle.verify", title: `Verifying the signature of ${entry.name}` };
  await reporter.stage(stage, async () => {
    using file = await Deno.open(spool, { read: true });
    await signature.verify(ReadableStream.from(chunksOf(file, signal)));
  });
}

/** Fetches the signature, and refuses it as far as that can be done without the bundle. */
async function signatureOf(
  entry: CatalogEntry,
  options: PullBundleOptions,
): Promise<DetachedSignature> {
  let signature: Uint8Array;
  try {
    signature = await fetchBytes({
      ...transferOptions(options),
      url: entry.signatureUrl,
      maxBytes: maxSignatureBytes,
    });
  } catch (error) {
    if (!isBangerError(error, "unavailable") || error.code !== notThereCode) throw error;
    const why = "the server has no signature of it";
    throw new BangerError("untrusted", `Cannot trust bundle "${entry.name}": ${why}`, {
      code: unverifiedCode,
      detail: entry.signatureUrl,
      cause: error,
    });
  }
  const what = `bundle "${entry.name}"`;
  const { trust, nowMs } = options;
  return await openSignature({ what, signature, trust, signer: entry.signer, nowMs });
}

async function unpack(
  entry: CatalogEntry,
  spool: string,
  options: PullBundleOptions,
): Promise<BundleMetadata> {
  const stage = { id: "bundle.unpack", title: `Unpacking ${entry.kind} ${entry.name}` };
  return await options.reporter.stage(stage, async (report) => {
    using file = await Deno.open(spool, { read: true });
    return await readBundle(chunksOf(file, options.signal), {
      label: entry.name,
      outDir: options.stagingDir,
      accept: (metadata) => accept(metadata, entry, options),
      onProgress: (bytes, total) => report(bytes, total, "bytes"),
      signal: options.signal,
    });
  });
}

/** What was signed as one thing is not taken for another, nor an old one for the current one. */
async function accept(
  metadata: BundleMetadata,
  entry: CatalogEntry,
  { notBeforeMs, checkSpace }: PullBundleOptions,
): Promise<void> {
  const fail = (why: string, code: string) =>
    bundleFault(entry.name, "banger-bundle.json", why, { code });
  for (const field of ["kind", "name", "arch"] as const) {
    if (metadata[field] === entry[field]) continue;
    const why = `its ${field} is "${metadata[field]}", the catalog says "${entry[field]}"`;
    throw fail(why, "BUNDLE_MISMATCH");
  }
  if (notBeforeMs !== undefined && metadata.createdAtMs < notBeforeMs) {
    const when = (ms: number) => new Date(ms).toISOString();
    const why = `it was made at ${when(metadata.createdAtMs)}, before ${when(notBeforeMs)}`;
    throw fail(why, "BUNDLE_DOWNGRADE");
  }
  await checkSpace?.(metadata.members.reduce((sum, { storedSize }) => sum + storedSize, 0));
}

/** Makes sure of the kernel; one that is installed is replaced by what is booted. */
async function unpackKernel(metadata: BundleMetadata, options: PullBundleOptions): Promise<void> {
  const { stagingDir, extractKernel, signal } = options;
  const vmlinux = `${stagingDir}/vmlinux`;
  const packed = `${stagingDir}/bzImage`;
  if (metadata.members.some(({ name }) => name === "bzImage")) {
    const image = await Deno.readFile(packed);
    let plain: Uint8Array;
    try {
      plain = await extractKernel(image, signal);
    } catch (error) {
      if (!isBangerError(error, "untrusted") && !isBangerError(error, "internal")) throw error;
      throw bundleFault(metadata.name, "bzImage", `it is not a kernel: ${error.message}`, {
        code: "NOT_A_KERNEL",
        cause: error,
      });
    }
    await Deno.writeFile(vmlinux, plain, { createNew: true, mode: 0o600 });
    await Deno.remove(packed);
    await checkKernel(vmlinux, metadata.arch, metadata.name, "bzImage");
  } else {
    await checkKernel(vmlinux, metadata.arch, metadata.name, "vmlinux");
  }
}

function filesOf(metadata: BundleMetadata): PulledBundle["files"] {
  const fileOf = (name: MemberName) =>
    metadata.members.some((member) => member.name === name) ? name : null;
  return {
    rootfs: fileOf("rootfs.ext4"),
    vmlinux: "vmlinux",
    initrd: fileOf("initrd.img"),
    modules: fileOf("modules.ext4"),
    workSeed: fileOf("work-seed.tar"),
    kit: fileOf("kit.ext4"),
  };
}

async function removeMembers(metadata: BundleMetadata, dir: string): Promise<void> {
  for (const name of ["vmlinux", ...metadata.members.map((member) => member.name)]) {
    await Deno.remove(`${dir}/${name}`).catch(() => {});
  }
}

async function* chunksOf(file: Deno.FsFile, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (;;) {
    signal.throwIfAborted();
    const buffer = new Uint8Array(chunkBytes);
    const count = await file.read(buffer);
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}

function transferOptions(options: PullBundleOptions) {
  const { signal, stallTimeoutMs, retryDelaysMs } = options;
  return {
    signal,
    ...(stallTimeoutMs === undefined ? {} : { stallTimeoutMs }),
    ...(retryDelaysMs === undefined ? {} : { retryDelaysMs }),
  };
}

/** What the file system or an abort threw, in banger's words; everything else as it is. */
function asPullFailure(error: unknown, entry: CatalogEntry, { signal }: PullBundleOptions) {
  const what = `${entry.kind} "${entry.name}"`;
  if (signal.aborted) {
    return isBangerError(error, "cancelled")
      ? error
      : new BangerError("cancelled", `Stopped the pull of ${what}`, { cause: error });
  }
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new BangerError("exhausted", `Cannot pull ${what}: the disk is full`, {
    code: "NO_SPACE",
    hint: "Free some space, or set XDG_STATE_HOME to a directory on a larger disk",
    cause: error,
  });
}
