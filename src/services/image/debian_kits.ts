import type { KitSource } from "./contract.ts";
import type { DebianSourceOptions } from "./debian_kernels.ts";

/** What the guest kit is made of beside packages; the names of `RuntimeAssets`. */
export interface KitInputs {
  readonly denoBinary: string;
  readonly agentBundle: string;
}

/** Suite whose packages are in the kit. */
const suite = "bookworm";

/**
 * Guest kits from the Debian archive and this installation's own files. The code that builds them is
 * loaded when it is needed.
 *
 * @param inputs asked at every use. @throws BangerError `precondition` when a file is missing
 */
export function debianKits(options: DebianSourceOptions, inputs: () => KitInputs): KitSource {
  return {
    suite,
    key: async () => {
      const { kitInputsKey } = await import("../../guest/kit_builder.ts");
      return await kitInputsKey(inputs());
    },
    build: async ({ stagingDir, mirror, reporter, signal }) =>
      await reporter.stage({ id: "kit.build", title: "Building the guest kit" }, async (report) => {
        const { buildKit } = await import("../../guest/kit_builder.ts");
        const { debEntries } = await import("../../debian/deb_archive.ts");
        const { DebianArchive, debianArch } = await import("../../debian/debian_archive.ts");
        report(0, null, "items", "Checking the archive's signature");
        const archive = await DebianArchive.open({
          mirror,
          suite,
          arch: debianArch(options.arch),
          keyringPath: options.keyring,
          nowMs: options.now(),
          signal,
        });
        const newest = await newestOf(archive);
        const { denoBinary, agentBundle } = inputs();
        const built = await buildKit({
          denoBinary,
          agentBundle,
          packages: {
            fetch: async (name, stop) =>
              await archive.fetch(await newest(name), options.downloadsDir, { signal: stop }),
            entries: (path, stop) => debEntries(path, { signal: stop }),
          },
          outputDir: stagingDir,
          signal,
          onProgress: (done, total, note) => report(done, total, "items", note),
        });
        return { file: built.path.slice(built.path.lastIndexOf("/") + 1) };
      }),
  };
}

type Archive = Awaited<
  ReturnType<typeof import("../../debian/debian_archive.ts")["DebianArchive"]["open"]>
>;
type PackageRecord = Awaited<ReturnType<Archive["newest"]>>;

/** Finds packages of the kit; the index is read once for all of them. */
async function newestOf(archive: Archive): Promise<(name: string) => Promise<PackageRecord>> {
  const { kitLibraryPackages, kitPrograms } = await import("../../guest/kit_packages.ts");
  const { newestPackage } = await import("../../debian/package_index.ts");
  const names = new Set([...kitLibraryPackages, ...kitPrograms.map((each) => each.package)]);
  const records = await archive.packages((name) => names.has(name));
  return async (name) =>
    newestPackage(records.filter((each) => each.name === name)) ?? await archive.newest(name);
}
