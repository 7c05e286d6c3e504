/**
 * A host that has more than the machine that runs the tests: an emulated computer with a Debian of
 * its own, systemd, a nested KVM that works.
 *
 * Owns the emulated computer and what is carried into it. Imports nothing of `src` but the way to
 * run programs: what is tested there is the built banger, as its user types it.
 */
import { run } from "../../src/process/run.ts";

/** Longest life of the emulated computer, whatever becomes of the test, in seconds. */
const lifeS = 45 * 60;
/** How long it may take until its ssh server answers. */
const bootTimeoutMs = 240_000;
/** How long its disk, kernel and initrd may take to be made. */
const imageTimeoutMs = 15 * 60_000;

/** What a lab host is made of. */
export interface LabOptions {
  /** Keeps the disk, kernel and initrd between runs. */
  readonly cacheDir: string;
  /** A prepared home directory; the lab host has a copy at the same path, which is its to change. */
  readonly home: string;
  /** The built banger; it is `/usr/local/bin/banger` there. */
  readonly program: string;
}

/** How a command in the lab host ended. */
export interface LabResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running lab host; disposing it ends it. */
export class LabHost implements AsyncDisposable {
  readonly #qemu: Deno.ChildProcess;
  readonly #sshArgs: readonly string[];
  readonly #workDir: string;

  private constructor(qemu: Deno.ChildProcess, sshArgs: readonly string[], workDir: string) {
    this.#qemu = qemu;
    this.#sshArgs = sshArgs;
    this.#workDir = workDir;
  }

  /** Boots one and loads the module for KVM. Leaves nothing behind when it fails. */
  static async boot(options: LabOptions): Promise<LabHost> {
    const { cacheDir, home, program } = options;
    const script = new URL("lab_image.sh", import.meta.url).pathname;
    await run("bash", [script, cacheDir], { timeoutMs: imageTimeoutMs });
    const workDir = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "banger-lab-" });
    await using undo = new AsyncDisposableStack();
    undo.defer(() => Deno.remove(workDir, { recursive: true }));
    const carried = `${workDir}/home.ext4`;
    await run("mkfs.ext4", ["-q", "-F", "-d", home, carried, "8G"], { timeoutMs: 120_000 });
    const port = freePort();
    const qemu = new Deno.Command("timeout", {
      args: ["--kill-after=5", `${lifeS}`, ...qemuCommand(cacheDir, carried, workDir, port)],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    undo.defer(() => endOf(qemu));
    const lab = new LabHost(qemu, sshArgs(cacheDir, port), workDir);
    await lab.#untilUp();
    await lab.ok(setUpScript(home));
    await lab.ok("cat >/usr/local/bin/banger && chmod 0755 /usr/local/bin/banger", {
      stdin: await Deno.readFile(program),
    });
    undo.move();
    return lab;
  }

  /** The words that reach it by hand. */
  get sshCommand(): string {
    return ["ssh", ...this.#sshArgs].join(" ");
  }

  /** Runs a bash script there as root and answers how it ended. */
  async run(
    script: string,
    options: { readonly timeoutMs?: number; readonly stdin?: Uint8Array } = {},
  ): Promise<LabResult> {
    const { timeoutMs = 60_000, stdin } = options;
    const { code, stdout, stderr } = await run("ssh", [...this.#sshArgs, script], {
      timeoutMs,
      okCodes: Array.from({ length: 256 }, (_, code) => code),
      ...(stdin === undefined ? {} : { stdin }),
    });
    return { code, stdout: new TextDecoder().decode(stdout), stderr };
  }

  /** Runs a script that must succeed; answers what it printed. */
  async ok(
    script: string,
    options: { readonly timeoutMs?: number; readonly stdin?: Uint8Array } = {},
  ): Promise<string> {
    const { code, stdout, stderr } = await this.run(script, options);
    if (code !== 0) throw new Error(`${script}\nended with ${code}:\n${stdout}${stderr}`);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endOf(this.#qemu);
    await Deno.remove(this.#workDir, { recursive: true });
  }

  async #untilUp(): Promise<void> {
    const deadline = performance.now() + bootTimeoutMs;
    for (;;) {
      const { code, stderr } = await this.run("true", { timeoutMs: 30_000 })
        .catch((error) => ({ code: 255, stderr: String(error) }));
      if (code === 0) return;
      if (performance.now() > deadline) throw new Error(`the lab host does not answer: ${stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}

/** An emulated processor with AMD's virtualisation: it is what nested KVM works on. */
function qemuCommand(
  cacheDir: string,
  carried: string,
  workDir: string,
  port: number,
): readonly string[] {
  return [
    "qemu-system-x86_64",
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"],
    ...["-smp", "2", "-m", "4096"],
    ...["-kernel", `${cacheDir}/vmlinuz`, "-initrd", `${cacheDir}/initrd`],
    ...["-append", "root=/dev/vda rw console=ttyS0 quiet panic=-1 mitigations=off"],
    ...["-serial", `file:${workDir}/console`],
    ...disk("lab", `${cacheDir}/disk.ext4`),
    ...disk("home", carried),
    ...["-netdev", `user,id=net,hostfwd=tcp:127.0.0.1:${port}-:22`],
    ...["-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci"],
  ];
}

/** Written to a temporary copy that is gone with the process: the next run finds it as it was. */
function disk(id: string, path: string): readonly string[] {
  return [
    ...["-drive", `if=none,id=${id},file=${path},format=raw,snapshot=on,cache=unsafe`],
    ...["-device", `virtio-blk-pci,drive=${id}`],
  ];
}

function sshArgs(cacheDir: string, port: number): readonly string[] {
  return [
    ...["-F", "/dev/null", "-i", `${cacheDir}/key`, "-p", `${port}`],
    ...["-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "LogLevel=ERROR"],
    // The host key was made with the disk's image and is not known; the way to it is loopback.
    ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"],
    "root@127.0.0.1",
  ];
}

/** The prepared home must be reachable for ordinary users, too; this host is thrown away. */
function setUpScript(home: string): string {
  return `set -eu
modprobe kvm_amd
udevadm settle --timeout=30
mkdir -p ${home}
mount -o noatime /dev/vdb ${home}
dir=${home}
while [ "$dir" != / ]; do chmod a+x "$dir"; dir=$(dirname "$dir"); done`;
}

/** A port of the loopback interface that nobody listens on. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function endOf(child: Deno.ChildProcess): Promise<void> {
  try {
    child.kill("SIGTERM");
  } catch (error) {
    // It has ended by itself.
    if (!(error instanceof TypeError)) throw error;
  }
  await child.status;
}
