import { BangerError, isBangerError } from "../model/errors.ts";
import { writeInitrd, writeMarkerInitrd } from "./initrd.ts";
import { ModuleDisk } from "./module_disk.ts";

/** A kernel that came without some of what booting it needs. */
export interface IncompleteKernel {
  /** File names in its directory; `null` for what it came without. */
  readonly initrd: string | null;
  readonly modules: string | null;
  /** A statically linked busybox of the guest's architecture. */
  readonly busyboxPath: string;
  readonly signal: AbortSignal;
}

/** What it boots with now: file names in its directory. */
export interface CompletedKernel {
  readonly initrd: string;
  /** Whether the initrd was made here: it then follows banger's own scripts. */
  readonly initrdIsOurs: boolean;
  /** `null` without a busybox: accelerators are not tried out with this kernel then. */
  readonly probeInitrd: string | null;
}

const initrdFile = "initrd.img";
const probeFile = "probe-initrd.img";

/**
 * Makes what a kernel lacks, in its directory: the initrd that takes it to the guest kit, and the one for
 * the trial of an accelerator. A kernel without modules has its drivers built in, and its initrd is a
 * few programs only; of a modules disk, what the guest's devices need is taken along.
 *
 * @throws BangerError `precondition` when busybox or what unpacks modules is missing, `untrusted` when
 * the modules are not what this needs, `cancelled`
 */
export async function completeKernel(
  dir: string,
  kernel: IncompleteKernel,
): Promise<CompletedKernel> {
  const { busyboxPath, initrd } = kernel;
  kernel.signal.throwIfAborted();
  if (initrd === null) await writeOwnInitrd(dir, kernel);
  return {
    initrd: initrd ?? initrdFile,
    initrdIsOurs: initrd === null,
    probeInitrd: await writeProbe(dir, busyboxPath),
  };
}

async function writeOwnInitrd(
  dir: string,
  { modules, busyboxPath, signal }: IncompleteKernel,
): Promise<void> {
  const path = `${dir}/${initrdFile}`;
  if (modules === null) {
    await writeInitrd(path, { busyboxPath, modules: null });
    return;
  }
  using disk = await openDisk(`${dir}/${modules}`, modules);
  await writeInitrd(path, { busyboxPath, modules: disk, signal });
}

async function openDisk(path: string, name: string): Promise<ModuleDisk> {
  try {
    return await ModuleDisk.open(path, name);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new BangerError("untrusted", `Cannot read modules "${name}": ${cause.message}`, {
      cause,
    });
  }
}

async function writeProbe(dir: string, busyboxPath: string): Promise<string | null> {
  try {
    await writeMarkerInitrd(`${dir}/${probeFile}`, busyboxPath);
    return probeFile;
  } catch (error) {
    if (!isBangerError(error, "precondition")) throw error;
    return null;
  }
}
