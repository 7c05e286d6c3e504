import type { KernelPullStep } from "../../kernels/debian_cloud.ts";
import { initScript, markerScript } from "../../kernels/init_script.ts";
import type { KernelSource } from "./contract.ts";

/** What kernels from the Debian archive need to know. */
export interface DebianSourceOptions {
  readonly arch: "x86_64" | "aarch64";
  /** Path of the archive's keyring. */
  readonly keyring: string;
  /** Where verified packages are kept. */
  readonly downloadsDir: string;
  readonly now: () => number;
}

const notes: Readonly<Record<KernelPullStep, string>> = {
  release: "Checking the archive's signature",
  download: "Downloading",
  unpack: "Unpacking",
  modules: "Writing the modules disk",
  initrd: "Writing the initrd",
};

/** Raised when the same package and scripts would give other files. */
const writerRevision = 1;

/** Kernels from the Debian archive. The code that fetches them is loaded by the first pull. */
export function debianKernels(options: DebianSourceOptions): KernelSource {
  // Loaded on use: the daemon needs no hashes to serve.
  const newHash = async () => (await import("node:crypto")).createHash("sha256");
  const revision = async () =>
    (await newHash()).update(`${writerRevision}\n${initScript}\n${markerScript}\n`)
      .digest("hex");
  return {
    names: { "debian-6.1-cloud": { suite: "bookworm" } },
    revision,
    pull: async (name, { stagingDir, mirror, reporter, signal }) =>
      await reporter.stage(
        { id: "kernel.pull", title: `Pulling kernel ${name}` },
        async (report) => {
          const { debianArch } = await import("../../debian/debian_archive.ts");
          const { pullDebianCloudKernel } = await import("../../kernels/debian_cloud.ts");
          const pulled = await pullDebianCloudKernel({
            name,
            mirror,
            keyringPath: options.keyring,
            arch: debianArch(options.arch),
            stagingDir,
            cacheDir: options.downloadsDir,
            nowMs: options.now(),
            onProgress: (step, done, total) => report(done ?? 0, total, "bytes", notes[step]),
            signal,
          });
          const { files } = pulled;
          const hash = (await newHash()).update(`${await revision()}\n${pulled.package.sha256}\n`);
          for (const path of [files.initrd, files.probeInitrd]) {
            hash.update(await Deno.readFile(path));
          }
          return {
            version: pulled.version,
            digest: `sha256:${hash.digest("hex")}`,
            vmlinux: baseName(files.vmlinux),
            initrd: baseName(files.initrd),
            modules: baseName(files.modulesExt4),
            probeInitrd: baseName(files.probeInitrd),
          };
        },
      ),
  };
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
