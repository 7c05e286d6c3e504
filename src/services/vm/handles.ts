import { replaceFile } from "../../files/replace_file.ts";
import * as v from "valibot";
import type { VmPaths } from "../../paths/paths.ts";
import type { VmmHandle } from "../../vmm/contract.ts";
import type { ProcessHandle } from "../../process/host_processes.ts";
import type { GuestNetwork } from "./contract.ts";

/**
 * What a running VM has on the host, remembered beside it so that the next daemon can take it over.
 * A cache of the truth (the kernel's process table), never the truth: a handle that fits no process
 * is ignored.
 */
export interface VmHandles {
  readonly machine: VmmHandle | null;
  readonly passt: ProcessHandle | null;
  readonly netFilter: ProcessHandle | null;
  readonly network: GuestNetwork | null;
}

/** Longest handles file that is read, in bytes. */
const maxBytes = 64 * 1024;

const process = v.object({
  pid: v.pipe(v.number(), v.safeInteger(), v.minValue(2)),
  startTicks: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});
const text = v.pipe(v.string(), v.maxLength(4096));
const port = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(65535));
const schema = v.object({
  machine: v.nullable(v.object({
    process,
    runDir: text,
    stateDir: text,
    memoryPath: text,
  })),
  passt: v.nullable(process),
  // Absent in what a daemon without a filter wrote.
  netFilter: v.optional(v.nullable(process), null),
  network: v.nullable(v.object({
    socketPath: text,
    mac: text,
    address: text,
    gateway: text,
    dns: v.array(text),
    sshPort: port,
  })),
});

const none: VmHandles = { machine: null, passt: null, netFilter: null, network: null };

/**
 * Reads the handles of a VM. A file that is missing, damaged, too long, no regular file or of other
 * directories than this VM's counts as no handles.
 */
export function readHandles(paths: VmPaths): VmHandles {
  try {
    const info = Deno.lstatSync(paths.handles);
    if (!info.isFile || info.size > maxBytes) return none;
    const parsed = v.safeParse(schema, JSON.parse(Deno.readTextFileSync(paths.handles)));
    if (!parsed.success) return none;
    const { machine } = parsed.output;
    const ours = machine === null ||
      (machine.runDir === paths.runDir && machine.stateDir === paths.stateDir &&
        (machine.memoryPath === paths.memory || machine.memoryPath === paths.memoryOnDisk));
    return ours ? parsed.output : none;
  } catch {
    // Whatever is wrong with it, the kernel's process table decides; see the doc comment.
    return none;
  }
}

/** Changes some of the handles; the file is replaced whole (0600). */
export function writeHandles(paths: VmPaths, changes: Partial<VmHandles>): void {
  replaceHandles(paths, { ...readHandles(paths), ...changes });
}

/** Writes the handles anew, whatever has the file's name (0600). */
export function replaceHandles(paths: VmPaths, handles: VmHandles): void {
  replaceFile(paths.handles, JSON.stringify(handles));
}
