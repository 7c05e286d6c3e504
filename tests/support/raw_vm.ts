import { connectAgent } from "../../src/guest/agent_client.ts";
import type { AgentSession } from "../../src/guest/agent_session.ts";
import { newId, type VmId } from "../../src/model/ids.ts";
import { Paths, type VmPaths } from "../../src/paths/paths.ts";
import { LocalProcesses } from "../../src/process/local_processes.ts";
import { readTscFrequencyKhz } from "../../src/process/tsc_frequency.ts";
import { Store } from "../../src/store/store.ts";
import type { Machine, MachineSpec } from "../../src/vmm/contract.ts";
import { createOverlay } from "../../src/vmm/qemu/qemu_img.ts";
import { QemuVmm } from "../../src/vmm/qemu/qemu_vmm.ts";

const forever = new AbortController().signal;
const hostTscKhz = readTscFrequencyKhz();

/** What a VM of `home`'s newest image boots from; banger has run one there before. */
interface BootFiles {
  readonly kernel: string;
  readonly initrd: string | null;
  readonly modules: string | null;
  readonly rootfs: string;
  readonly rootBytes: number;
  readonly kit: string;
}

function bootFiles(paths: Paths): BootFiles {
  using store = Store.open(paths);
  const [kernel] = store.kernels.list();
  const [image] = store.images.list();
  if (kernel === undefined || image === undefined) throw new Error("nothing was pulled");
  const kits = [...Deno.readDirSync(paths.kitsDir)].filter(({ name }) => name.endsWith(".ext4"));
  const newest = kits.map(({ name }) => `${paths.kitsDir}/${name}`)
    .toSorted((a, b) => Number(Deno.statSync(b).mtime) - Number(Deno.statSync(a).mtime))[0];
  if (newest === undefined) throw new Error("no kit was built");
  return {
    kernel: kernel.vmlinuxPath,
    initrd: kernel.initrdPath,
    modules: kernel.modulesPath,
    rootfs: image.rootfsPath,
    rootBytes: image.virtualBytes,
    kit: newest,
  };
}

/**
 * A VM on the driver's own command line, without banger around it and without a network: kernel,
 * image and kit are those that the banger with this home directory has pulled and built.
 */
export class RawVm implements AsyncDisposable {
  readonly #spec: MachineSpec;
  readonly #undo: AsyncDisposableStack;
  #machine: Machine | undefined;

  private constructor(spec: MachineSpec, undo: AsyncDisposableStack) {
    this.#spec = spec;
    this.#undo = undo;
  }

  /** Makes its directories and its disk; starts nothing. */
  static async prepare(
    home: string,
    size: { readonly cpus: number; readonly memoryMib: number },
  ): Promise<RawVm> {
    const paths = new Paths({ uid: Deno.uid() ?? 0, home });
    const files = bootFiles(paths);
    const id = newId<VmId>();
    const vm = paths.vm(id);
    await using undo = new AsyncDisposableStack();
    for (const dir of [vm.stateDir, vm.runDir]) {
      await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
      undo.defer(() => Deno.remove(dir, { recursive: true }));
    }
    await createOverlay(
      { path: vm.overlay, backingPath: files.rootfs, sizeBytes: files.rootBytes },
      forever,
    );
    return new RawVm(spec(id, vm, files, size), undo.move());
  }

  /** Starts its kernel. */
  async launch(): Promise<void> {
    const machine = await new QemuVmm(new LocalProcesses()).launch(this.#spec, forever);
    this.#undo.defer(() => machine.kill());
    this.#machine = machine;
  }

  get machine(): Machine {
    if (this.#machine === undefined) throw new Error("it was not launched");
    return this.#machine;
  }

  /** A session with its agent, which may have had one before. */
  async session(fresh = true): Promise<AgentSession> {
    return await connectAgent(await this.machine.openAgentLink(forever), {
      fresh,
      nonce: crypto.getRandomValues(new Uint8Array(16)).toHex(),
      signal: forever,
      timeoutMs: 60_000,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo.disposeAsync();
  }
}

function spec(
  id: VmId,
  vm: VmPaths,
  files: BootFiles,
  size: { readonly cpus: number; readonly memoryMib: number },
): MachineSpec {
  const readOnly = { format: "raw", readOnly: true, backingPath: null } as const;
  const modules = files.modules === null
    ? []
    : [{ serial: "banger-modules", path: files.modules, ...readOnly } as const];
  return {
    ...size,
    vmId: id,
    kernelPath: files.kernel,
    initrdPath: files.initrd,
    // As banger tells it to Debian's kernels (250 Hz).
    commandLine: hostTscKhz === null ? [] : [`lpj=${Math.floor((hostTscKhz * 1000) / 250)}`],
    disks: [
      {
        serial: "banger-root",
        path: vm.overlay,
        format: "qcow2",
        readOnly: false,
        backingPath: files.rootfs,
      },
      { serial: "banger-kit", path: files.kit, ...readOnly },
      ...modules,
    ],
    network: null,
    runDir: vm.runDir,
    stateDir: vm.stateDir,
    memoryPaths: { tmpfs: vm.memory, disk: vm.memoryOnDisk },
    accelerator: "tcg",
    hostTscKhz,
    dropTo: null,
  };
}
