/**
 * Kernels that guests boot: fetched from where they are published, verified, and made ready
 * (`vmlinux`, initrd, modules disk).
 *
 * Owns: the initrd and its `/init`, module trees, the kernel image's container format. Must not
 * import VMM, store or services; archives are reached through `src/debian`.
 */
import { BangerError } from "../model/errors.ts";
import { cpioArchive, type CpioEntry } from "./cpio.ts";
import { withoutSignature } from "./module_signature.ts";
import { initScript, markerScript } from "./init_script.ts";
import type { ModuleSource } from "./module_source.ts";
import { ModuleTree } from "./module_tree.ts";

/** Modules without which the kit cannot be mounted or reach the host, in the order of need. */
const neededModules = [
  "virtio_mmio",
  "virtio_blk",
  "ext4",
  "virtio_console",
  "virtio_net",
  "virtio_rng",
];

/** Modules that are taken along where the kernel has them, and inserted where the device is. */
const optionalModules = ["vmw_vsock_virtio_transport"];

/** virtio device id of sockets, as sysfs writes it (virtio 1.2, 5). */
const vsockDeviceId = "0x0013";

/** Where the parts of an initrd come from. */
export interface InitrdSources {
  /** A statically linked busybox of the guest's architecture. */
  readonly busyboxPath: string;
  /**
   * A `/lib/modules/VERSION` tree: a directory, or what it is read from; `null` for a kernel that has
   * all drivers built in.
   */
  readonly modules: string | ModuleSource | null;
  readonly signal?: AbortSignal;
}

/** What was written. */
export interface WrittenInitrd {
  readonly bytes: number;
  /** Canonical names of its modules, in the order of insertion. */
  readonly modules: readonly string[];
}

/**
 * Writes the initrd that takes a kernel to the guest kit (`init_script.ts` tells how) to `path`,
 * as an uncompressed cpio archive of uncompressed modules: under emulation every decompressor costs more
 * than the copy.
 *
 * @throws BangerError `precondition` when busybox is missing or not static, or what unpacks
 * modules is; `untrusted` when the module tree lacks what is needed or is damaged; `cancelled`
 */
export async function writeInitrd(path: string, sources: InitrdSources): Promise<WrittenInitrd> {
  const { busyboxPath, modules: from, signal } = sources;
  const tree = from === null ? null : await ModuleTree.open(from, { signal });
  const entries = await skeleton(busyboxPath, initScript);
  entries.push({ type: "directory", path: "modules" });
  const { names: modules, order } = tree === null
    ? { names: [], order: "" }
    : await addModules(tree, entries);
  const content = new TextEncoder().encode(order);
  entries.push({ type: "file", path: "modules/order", content });
  const archive = cpioArchive(entries);
  await Deno.writeFile(path, archive);
  return { bytes: archive.length, modules };
}

/** Adds the modules to the entries; answers their names and the lines of `/modules/order`. */
async function addModules(
  tree: ModuleTree,
  entries: CpioEntry[],
): Promise<{ readonly names: readonly string[]; readonly order: string }> {
  const needed = await tree.loadOrder(neededModules);
  const all = await tree.loadOrder(
    [...neededModules, ...optionalModules],
    new Set(optionalModules),
  );
  const lines: string[] = [];
  for (const file of all) {
    const content = withoutSignature(await tree.read(file));
    entries.push({ type: "file", path: `modules/${file.name}.ko`, content });
    lines.push(needed.includes(file) ? `${file.name}.ko\n` : `${file.name}.ko ${vsockDeviceId}\n`);
  }
  return { names: all.map((file) => file.name), order: lines.join("") };
}

/**
 * Writes an initrd whose only act is to print `BANGER-KVM-OK` on the console and reboot: the trial
 * of whether an accelerator really runs a kernel.
 *
 * @throws BangerError `precondition` when busybox is missing or not static
 */
export async function writeMarkerInitrd(path: string, busyboxPath: string): Promise<void> {
  await Deno.writeFile(path, cpioArchive(await skeleton(busyboxPath, markerScript)));
}

async function skeleton(busyboxPath: string, init: string): Promise<CpioEntry[]> {
  const busybox = await readStaticProgram(busyboxPath);
  const directories = ["bin", "dev", "proc", "sys", "newroot"];
  return [
    ...directories.map((path): CpioEntry => ({ type: "directory", path })),
    // The kernel opens /dev/console for /init before anything is mounted.
    { type: "character", path: "dev/console", major: 5, minor: 1 },
    { type: "file", path: "bin/busybox", mode: 0o755, content: busybox },
    ...applets.map((name): CpioEntry => (
      { type: "symlink", path: `bin/${name}`, target: "busybox" }
    )),
    { type: "file", path: "init", mode: 0o755, content: new TextEncoder().encode(init) },
  ];
}

/** The applets that the scripts call; a busybox shell finds them in /bin. */
const applets = [
  "sh",
  "insmod",
  "ln",
  "mkdir",
  "mount",
  "mv",
  "readlink",
  "reboot",
  "sleep",
  "switch_root",
  "uname",
  "usleep",
];

const programHeaderInterp = 3;

async function readStaticProgram(path: string): Promise<Uint8Array> {
  const hint = "apt-get install busybox-static";
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (cause) {
    throw new BangerError("precondition", `Cannot use busybox "${path}": it cannot be read`, {
      hint,
      cause,
    });
  }
  if (!isStaticElf(bytes)) {
    throw new BangerError("precondition", `Cannot use busybox "${path}": it is not static`, {
      hint,
    });
  }
  return bytes;
}

/** Whether `bytes` are a 64-bit little-endian ELF program that asks for no interpreter. */
function isStaticElf(bytes: Uint8Array): boolean {
  const magic = [0x7f, 0x45, 0x4c, 0x46, 2, 1];
  if (bytes.length < 64 || magic.some((byte, index) => bytes[index] !== byte)) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const offset = Number(view.getBigUint64(32, true));
  const size = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  if (offset + count * size > bytes.length) return false;
  for (let index = 0; index < count; index++) {
    if (view.getUint32(offset + index * size, true) === programHeaderInterp) return false;
  }
  return true;
}
