import { createHash } from "node:crypto";
import { initScript, markerScript } from "../../src/kernels/init_script.ts";
import { newId, type VmId } from "../../src/model/ids.ts";
import { findMirror } from "../../src/debian/find_mirror.ts";
import { pullDebianCloudKernel } from "../../src/kernels/debian_cloud.ts";
import { readTscFrequencyKhz } from "../../src/process/tsc_frequency.ts";
import { run } from "../../src/process/run.ts";
import type { GuestLink, Machine, MachineSpec } from "../../src/vmm/contract.ts";
import { createOverlay } from "../../src/vmm/qemu/qemu_img.ts";

/** Files of a real kernel, made once and kept in the user's cache directory. */
export interface TestKernel {
  readonly vmlinux: string;
  readonly initrd: string;
  readonly markerInitrd: string;
}

const hostTscKhz = readTscFrequencyKhz();

/** The newest Debian cloud kernel. The first call on a machine fetches it from the archive. */
export async function testKernel(): Promise<TestKernel> {
  const cache = `${Deno.env.get("HOME") ?? "/tmp"}/.cache/banger-tests`;
  // The initrd is made with the kernel, so it is kept for as long as its script is the same.
  const script = createHash("sha256").update(initScript).update(markerScript).digest("hex");
  const dir = `${cache}/kernel-${script.slice(0, 12)}`;
  try {
    await Deno.stat(dir);
  } catch {
    await Deno.mkdir(cache, { recursive: true });
    const staging = await Deno.makeTempDir({ dir: cache, prefix: "staging-" });
    await pullDebianCloudKernel({
      name: "debian-6.1-cloud",
      mirror: await findMirror({ suite: "bookworm" }),
      keyringPath: "/usr/share/keyrings/debian-archive-keyring.gpg",
      arch: "amd64",
      stagingDir: staging,
      nowMs: Date.now(),
    });
    await Deno.chmod(staging, 0o755);
    await Deno.rename(staging, dir);
  }
  return {
    vmlinux: `${dir}/vmlinux`,
    initrd: `${dir}/initrd.img`,
    markerInitrd: `${dir}/probe-initrd.img`,
  };
}

/** The user that VMs of tests become when the tests run as root. */
export const testOwner = Deno.uid() === 0 ? { uid: 65_534, gid: 65_534 } : null;

/** First program of the test's guest: runs each line that comes over the agent's port. */
const guestShell = `#!/.banger/bin/busybox sh
export PATH=/.banger/bin
/.banger/bin/busybox --install -s /run
export PATH=/run
for port in /sys/class/virtio-ports/*; do
  [ "$(cat $port/name)" = banger.agent.0 ] && device=/dev/\${port##*/}
done
echo GUEST-READY >/dev/console
exec 3<>$device
while :; do
  if read -r line <&3; then eval "$line" >&3 2>&1; echo "END $?" >&3; else usleep 20000; fi
done
`;

/** Directories and disks of one test VM. */
export class TestVm implements AsyncDisposable {
  readonly dir: string;
  readonly kernel: TestKernel;
  readonly id = newId<VmId>();

  private constructor(dir: string, kernel: TestKernel) {
    this.dir = dir;
    this.kernel = kernel;
  }

  static async make(): Promise<TestVm> {
    const kernel = await testKernel();
    const dir = await Deno.makeTempDir({ prefix: "banger-vm-" });
    // QEMU may run as another user; it gets to its run directory only.
    await Deno.chmod(dir, 0o711);
    for (const name of ["run", "state", "disks", "kit"]) {
      await Deno.mkdir(`${dir}/${name}`, { mode: 0o700 });
    }
    if (testOwner !== null) await Deno.chown(`${dir}/run`, testOwner.uid, testOwner.gid);
    return new TestVm(dir, kernel);
  }

  /** A machine that prints the marker and ends. */
  get marker(): MachineSpec {
    return {
      vmId: this.id,
      cpus: 1,
      memoryMib: 256,
      kernelPath: this.kernel.vmlinux,
      initrdPath: this.kernel.markerInitrd,
      commandLine: [],
      disks: [],
      network: null,
      runDir: `${this.dir}/run`,
      stateDir: `${this.dir}/state`,
      memoryPaths: {
        tmpfs: `/dev/shm/banger-test-${this.id}`,
        disk: `${this.dir}/memory`,
      },
      accelerator: "tcg",
      dropTo: testOwner,
      hostTscKhz,
    };
  }

  /** A machine with root and kit disks whose first program is a shell on the agent's port. */
  async shell(): Promise<MachineSpec> {
    const disks = `${this.dir}/disks`;
    const kit = `${this.dir}/kit`;
    await Deno.mkdir(`${kit}/bin`);
    await Deno.mkdir(`${kit}/sbin`);
    await Deno.copyFile("/bin/busybox", `${kit}/bin/busybox`);
    await Deno.writeTextFile(`${kit}/sbin/kit-init`, guestShell, { mode: 0o755 });
    const mkfs = ["-q", "-F", "-E", "root_owner=0:0"];
    await run("mkfs.ext4", [...mkfs, "-d", kit, `${disks}/kit.ext4`, "16M"]);
    await run("mkfs.ext4", [...mkfs, `${disks}/base.ext4`, "32M"]);
    await createOverlay({
      path: `${disks}/root.qcow2`,
      backingPath: `${disks}/base.ext4`,
      sizeBytes: 64 * 1024 * 1024,
    }, new AbortController().signal);
    return {
      ...this.marker,
      initrdPath: this.kernel.initrd,
      disks: [
        {
          serial: "banger-root",
          path: `${disks}/root.qcow2`,
          format: "qcow2",
          readOnly: false,
          backingPath: `${disks}/base.ext4`,
        },
        {
          serial: "banger-kit",
          path: `${disks}/kit.ext4`,
          format: "raw",
          readOnly: true,
          backingPath: null,
        },
      ],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** Waits until the console holds `text`, at most `timeoutMs`. */
export async function untilConsole(machine: Machine, text: string, timeoutMs = 60_000) {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const console = new TextDecoder().decode(await machine.readConsole(64 * 1024));
    if (console.includes(text)) return;
    if (performance.now() > deadline) throw new Error(`No "${text}" on the console:\n${console}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Runs `line` in the guest's shell and answers what it printed, with the line `END code`. */
export async function inGuest(link: GuestLink, line: string): Promise<string> {
  await link.write(new TextEncoder().encode(`${line}\n`));
  const buffer = new Uint8Array(4096);
  let text = "";
  while (!/END \d+\n/.test(text)) {
    const count = await link.read(buffer);
    if (count === null) throw new Error(`The guest's shell has hung up after: ${text}`);
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return text;
}
