import { debianKernels } from "../../../src/services/image/debian_kernels.ts";
import { revisionFile } from "../../../src/services/image/pull_bundles.ts";
import { currentKitFile } from "../../../src/services/image/ensure_kit.ts";
import { kitInputsKey } from "../../../src/guest/kit_builder.ts";
import type { ImageRecord, KernelRecord } from "../../../src/model/artefacts.ts";
import { ensureOwnerDirs } from "../../../src/paths/ensure_dir.ts";
import { Paths } from "../../../src/paths/paths.ts";
import { Store } from "../../../src/store/store.ts";
import { runtimeAssets } from "../../../src/version/runtime_assets.ts";
import { FakeVmm } from "./fake_vmm.ts";

const mib = 1024 ** 2;
const arch = "x86_64";

/** Image and kernel of a {@linkcode FakeHome}. */
export const fakeImage = "fake-image", fakeKernel = "fake-kernel";

/**
 * A home directory with a configuration whose VMM is the fake one, and an image, a kernel and a kit of a
 * few bytes: VMs are made and started in a moment, without a network and without pulling anything.
 */
export class FakeHome implements AsyncDisposable {
  /** Parent of everything. */
  readonly dir: string;
  readonly home: string;
  readonly paths: Paths;
  readonly vmm: FakeVmm;

  private constructor(dir: string, vmm: FakeVmm) {
    this.dir = dir;
    this.home = `${dir}/home`;
    this.paths = new Paths({ uid: Deno.uid() ?? 0, home: this.home });
    this.vmm = vmm;
  }

  /** `settings` are more lines of the configuration. */
  static async make(...settings: readonly string[]): Promise<FakeHome> {
    const dir = await Deno.makeTempDir({ prefix: "banger-fake-" });
    // The VMMs of root run as other users.
    await Deno.chmod(dir, 0o711);
    const fake = new FakeHome(dir, await FakeVmm.in(dir));
    await Deno.mkdir(fake.home, { mode: 0o700 });
    ensureOwnerDirs(fake.paths);
    await fake.#writeArtefacts();
    await fake.configure(...settings);
    return fake;
  }

  /** Writes the configuration, which a daemon reads when it starts. */
  async configure(...settings: readonly string[]): Promise<void> {
    const { configDir, configFile } = this.paths;
    await Deno.mkdir(configDir, { recursive: true, mode: 0o700 });
    const lines = [
      `default_image_name = "${fakeImage}"`,
      `default_kernel_name = "${fakeKernel}"`,
      `qemu_bin = "${this.vmm.program}"`,
      ...settings,
      "[vm_defaults]",
      "cpus = 1",
      `memory = "256M"`,
    ];
    await Deno.writeTextFile(configFile, lines.map((line) => `${line}\n`).join(""));
  }

  async #writeArtefacts(): Promise<void> {
    const { paths } = this;
    const imageDigest = `sha256:${"1".repeat(64)}`, kernelDigest = `sha256:${"2".repeat(64)}`;
    const imageDir = paths.artefactDir("image", imageDigest);
    const kernelDir = paths.artefactDir("kernel", kernelDigest);
    for (const dir of [imageDir, kernelDir]) await Deno.mkdir(dir, { mode: 0o700 });
    const rootfsPath = `${imageDir}/rootfs.ext4`;
    await Deno.writeTextFile(rootfsPath, "");
    await Deno.truncate(rootfsPath, 64 * mib);
    for (const name of ["vmlinux", "initrd.img", "modules.ext4"]) {
      await Deno.writeTextFile(`${kernelDir}/${name}`, `the fake ${name}`);
    }
    const source = debianKernels({ arch, keyring: "", downloadsDir: "", now: Date.now });
    await Deno.writeTextFile(`${kernelDir}/${revisionFile}`, await source.revision());
    const common = {
      arch,
      createdAtMs: 1_700_000_000_000,
      sourceReason: null,
      publication: null,
    } as const;
    const image: ImageRecord = {
      ...common,
      ...{ name: fakeImage, digest: imageDigest, source: "fake:image", kernel: fakeKernel },
      ...{ virtualBytes: 64 * mib, diskBytes: 0, managed: true, rootfsPath, run: null, blobs: [] },
      workSeed: null,
    };
    const kernel: KernelRecord = {
      ...common,
      ...{ name: fakeKernel, digest: kernelDigest, source: "fake:kernel", version: "6.1.0-fake" },
      ...{ format: "vmlinux", commandLine: [], diskBytes: 0, vmlinuxPath: `${kernelDir}/vmlinux` },
      ...{ initrdPath: `${kernelDir}/initrd.img`, modulesPath: `${kernelDir}/modules.ext4` },
      // None: nobody tries KVM with it.
      probeInitrdPath: null,
    };
    {
      using store = Store.open(paths);
      store.images.publish(image);
      store.kernels.publish(kernel);
    }
    const kit = { key: await kitInputsKey(runtimeAssets()), file: "kit-0.ext4" };
    await Deno.writeTextFile(`${paths.kitsDir}/${kit.file}`, "the fake kit");
    await Deno.writeTextFile(`${paths.kitsDir}/${currentKitFile}`, JSON.stringify(kit));
  }

  /** Removes all files; whatever runs must have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const dir of [this.dir, this.paths.runtimeDir, this.paths.memoryDir]) {
      await Deno.remove(dir, { recursive: true }).catch(() => {});
    }
  }
}
