import { debEntries } from "../debian/deb_archive.ts";
import { type DebianArch, DebianArchive } from "../debian/debian_archive.ts";
import { dependencyNames, newestPackage, type PackageRecord } from "../debian/package_index.ts";
import { BangerError, isBangerError, reasonOf } from "../model/errors.ts";
import { run } from "../process/run.ts";
import { extractVmlinux } from "./extract_vmlinux.ts";
import { writeInitrd, writeMarkerInitrd } from "./initrd.ts";
import { writeModuleDependencies } from "./module_dependencies.ts";
import { ModuleTree } from "./module_tree.ts";

/** Names under which {@linkcode pullDebianCloudKernel} knows kernels, and their releases. */
export const debianCloudKernels: Readonly<Record<string, { readonly suite: string }>> = {
  "debian-6.1-cloud": { suite: "bookworm" },
};

/** What a pull is doing; `bytes` is its download. */
export type KernelPullStep = "release" | "download" | "unpack" | "modules" | "initrd";

/** How a kernel is pulled. */
export interface KernelPullOptions {
  /** One of {@linkcode debianCloudKernels}. */
  readonly name: string;
  /** Base URL of the archive (`findMirror`). */
  readonly mirror: string;
  /** Path of Debian's keyring. */
  readonly keyringPath: string;
  readonly arch: DebianArch;
  /** An empty directory; everything is made in it and left there on success. */
  readonly stagingDir: string;
  /** Where verified packages are kept; in the staging directory, and removed, when left out. */
  readonly cacheDir?: string;
  /** A static busybox; `/bin/busybox` when left out. */
  readonly busyboxPath?: string;
  readonly nowMs: number;
  readonly onProgress?: (
    step: KernelPullStep,
    bytes: number | null,
    totalBytes: number | null,
  ) => void;
  readonly signal?: AbortSignal;
  /** Passed on to downloads. */
  readonly retryDelaysMs?: readonly number[];
  readonly stallTimeoutMs?: number;
}

/** A kernel that was pulled: absolute paths in the staging directory. */
export interface PulledKernel {
  /** What `uname -r` says in the guest. */
  readonly version: string;
  readonly package: PackageRecord;
  readonly files: {
    /** Uncompressed, for direct boot. */
    readonly vmlinux: string;
    /** As Debian packs it. */
    readonly vmlinuz: string;
    /** Takes the kernel to the guest kit. */
    readonly initrd: string;
    /** Only prints a mark, for the trial of an accelerator. */
    readonly probeInitrd: string;
    /** Read-only ext4 with the tree of `/lib/modules/VERSION` as its root. */
    readonly modulesExt4: string;
  };
}

const mkfsTimeoutMs = 120_000;
const mebibyte = 1024 * 1024;

/**
 * Fetches Debian's newest cloud kernel of a release, verified from the signed release down to the
 * package, and makes all files that booting it needs.
 *
 * @throws BangerError `not_found` for an unknown name, `untrusted`, `unavailable`, `precondition`,
 * `exhausted`, `cancelled`
 */
export async function pullDebianCloudKernel(options: KernelPullOptions): Promise<PulledKernel> {
  const known = debianCloudKernels[options.name];
  if (known === undefined) {
    throw new BangerError("not_found", `Cannot pull kernel "${options.name}": no such kernel`, {
      hint: `Known kernels: ${Object.keys(debianCloudKernels).join(", ")}`,
    });
  }
  try {
    return await pullFrom(known.suite, options);
  } catch (error) {
    throw asPullFailure(error, options);
  }
}

/** What the file system or an abort threw, in banger's words; everything else as it is. */
function asPullFailure(error: unknown, options: KernelPullOptions): unknown {
  if (options.signal?.aborted === true && !isBangerError(error, "cancelled")) {
    return new BangerError("cancelled", `Stopped the pull of kernel "${options.name}"`, {
      cause: error,
    });
  }
  const words = isBangerError(error) ? `${error.detail}` : reasonOf(error);
  if (!/ENOSPC|EDQUOT|No space left|os error (28|122)\b/.test(words)) return error;
  return new BangerError("exhausted", `Cannot pull kernel "${options.name}": the disk is full`, {
    hint: `Free some space for "${options.stagingDir}" (about 400 MiB are needed) and try again`,
    cause: error,
  });
}

async function pullFrom(suite: string, options: KernelPullOptions): Promise<PulledKernel> {
  options.onProgress?.("release", null, null);
  const archive = await DebianArchive.open({ ...options, suite });
  const record = await newestCloudImage(archive, options.arch);
  const staging = options.stagingDir;
  const deb = await archive.fetch(record, options.cacheDir ?? staging, {
    onProgress: (bytes, total) => options.onProgress?.("download", bytes, total),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  options.onProgress?.("unpack", null, null);
  const version = record.name.replace(/^linux-image-/, "");
  const unpacked = await unpackKernel(deb, version, staging, options.signal);
  if (options.cacheDir === undefined) await Deno.remove(deb);
  const vmlinux = `${staging}/vmlinux`;
  await Deno.writeFile(
    vmlinux,
    await extractVmlinux(await Deno.readFile(unpacked.vmlinuz), options),
  );

  options.onProgress?.("initrd", null, null);
  const busyboxPath = options.busyboxPath ?? "/bin/busybox";
  const initrd = `${staging}/initrd.img`;
  const probeInitrd = `${staging}/probe-initrd.img`;
  await writeInitrd(initrd, { busyboxPath, modules: unpacked.modules });
  await writeMarkerInitrd(probeInitrd, busyboxPath);

  options.onProgress?.("modules", null, null);
  options.signal?.throwIfAborted();
  await writeModuleDependencies(unpacked.modules, await ModuleTree.open(unpacked.modules));
  const modulesExt4 = `${staging}/modules.ext4`;
  await writeModulesDisk(modulesExt4, unpacked.modules, options.signal);
  await Deno.remove(unpacked.modules, { recursive: true });
  return {
    version,
    package: record,
    files: { vmlinux, vmlinuz: unpacked.vmlinuz, initrd, probeInitrd, modulesExt4 },
  };
}

/** The real package behind the one that always depends on the newest. */
async function newestCloudImage(archive: DebianArchive, arch: DebianArch): Promise<PackageRecord> {
  const meta = `linux-image-cloud-${arch}`;
  const pattern = new RegExp(`^linux-image-[0-9][0-9a-z.+]*-[0-9a-z]+-cloud-${arch}$`);
  const records = await archive.packages((name) => name === meta || pattern.test(name));
  const depends = newestPackage(records.filter((each) => each.name === meta))?.depends ?? "";
  const wanted = dependencyNames(depends).find((name) => pattern.test(name));
  const record = newestPackage(records.filter((each) => each.name === wanted));
  if (record !== undefined) return record;
  throw new BangerError("not_found", `Cannot find the kernel of "${meta}": the archive has none`);
}

/** Writes the kernel and its modules below `staging`; everything else is left out. */
async function unpackKernel(
  deb: string,
  version: string,
  staging: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly vmlinuz: string; readonly modules: string }> {
  const vmlinuz = `${staging}/vmlinuz`;
  const modules = `${staging}/modules`;
  const prefixes = [`lib/modules/${version}/`, `usr/lib/modules/${version}/`];
  let found = false;
  await Deno.mkdir(modules);
  for await (const entry of debEntries(deb, signal === undefined ? {} : { signal })) {
    if (entry.path === `boot/vmlinuz-${version}` && entry.type === "file") {
      found = true;
      await writeStream(vmlinuz, entry.content());
    }
    const prefix = prefixes.find((each) => entry.path.startsWith(each));
    if (prefix === undefined) continue;
    const path = `${modules}/${entry.path.slice(prefix.length)}`;
    if (entry.type === "directory") await Deno.mkdir(path, { recursive: true });
    else if (entry.type === "file") {
      await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      await writeStream(path, entry.content());
    }
  }
  if (found) return { vmlinuz, modules };
  throw new BangerError("untrusted", `Cannot use package "${version}": it has no kernel`);
}

async function writeStream(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o644 });
  for await (const chunk of content) {
    for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
  }
}

/** Makes an ext4 image that is just large enough, without a journal: it is only read. */
async function writeModulesDisk(
  path: string,
  tree: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { bytes, files } = await treeSize(tree);
  const sizeMib = Math.ceil((bytes + files * 4096) * 1.05 / mebibyte) + 4;
  const features = "^has_journal,^resize_inode";
  await run("mkfs.ext4", [
    "-q",
    "-F",
    "-b4096",
    "-I256",
    `-N${files + 64}`,
    "-m0",
    "-Lbanger-modules",
    `-O${features}`,
    "-Eroot_owner=0:0,lazy_itable_init=0",
    "-d",
    tree,
    path,
    `${sizeMib}M`,
  ], {
    timeoutMs: mkfsTimeoutMs,
    ...(signal === undefined ? {} : { signal }),
  });
}

async function treeSize(root: string): Promise<{ bytes: number; files: number }> {
  let [bytes, files] = [0, 0];
  const pending = [root];
  for (let directory; (directory = pending.pop()) !== undefined;) {
    for await (const entry of Deno.readDir(directory)) {
      const path = `${directory}/${entry.name}`;
      files++;
      if (entry.isDirectory) pending.push(path);
      else bytes += (await Deno.lstat(path)).size;
    }
  }
  return { bytes, files };
}
