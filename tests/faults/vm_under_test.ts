import type { ParamsOf } from "../../src/api/methods.ts";
import type { VmView } from "../../src/api/vm.ts";
import { isOpen } from "../support/loopback_client.ts";
import type { Lane } from "./lane.ts";

/** The VM under test, and the name that it is given. */
export const name = "web", renamed = "web-2";
export const mib = 1024 ** 2, gib = 1024 ** 3;
/** Size of its system disk, and of its work disk where it has one. */
const diskBytes = 64 * mib;
/** What is written into a work disk, where ext4 leaves room for a boot sector, to know it again. */
const mark = "kept";
/** Where ext4 has its superblock's magic number (0xef53, little-endian). */
const magicAt = 1024 + 0x38;

/** What a VM under test has beside its state; ports are numbers of the guest's. */
export interface Given {
  readonly publish?: readonly number[];
  readonly workDisk?: boolean;
  readonly workspace?: string;
}

/** Parameters of `vm.create`, for a VM as users get it who say nothing. */
export function createParams(
  given: Partial<ParamsOf<"vm.create">> = {},
): ParamsOf<"vm.create"> {
  return {
    ...{ name, image: null, kernel: null, cpus: null, memoryMib: null, diskBytes: null },
    ...{
      workDiskBytes: null,
      labels: {},
      autoStopMs: null,
      publish: [],
      autoPorts: false,
      workspace: null,
      ephemeral: false,
      lease: false,
    },
    ...{ start: false, imageDefaults: true, gitIdentity: null },
    ...given,
  };
}

/** `vm.create` of a VM that has only what is given. */
export function paramsOf(lane: Lane, given: Given, start = false) {
  const { publish = [], workDisk = false, workspace = null } = given;
  return createParams({
    ...{ start, workspace, publish: publish.map((guestPort) => lane.wanted(guestPort)) },
    workDiskBytes: workDisk ? diskBytes : 0,
  });
}

/** `absent`, or the VM's state, and what differs from a new VM. */
export async function world(lane: Lane): Promise<string> {
  const vms = await lane.vms();
  const found = vms.filter((vm) => vm.name === name || vm.name === renamed);
  const worlds = await Promise.all(found.map(async (vm) => {
    const changes = [
      ...(vm.ephemeral ? ["ephemeral"] : []),
      ...(vm.name === name ? [] : [vm.name]),
      ...(vm.cpus === 1 ? [] : [`${vm.cpus} cpus`]),
      ...(vm.diskBytes === diskBytes ? [] : [`disk of ${vm.diskBytes / gib} GiB`]),
      ...(vm.workspace === null ? [] : [`workspace ${vm.workspace}`]),
      ...await portWords(vm),
      ...await workDiskWords(lane, vm),
    ];
    return [vm.state, ...changes].join(", ");
  }));
  const published = vms.flatMap((vm) => vm.published.map(({ hostPort }) => hostPort));
  for (const hostPort of lane.hostPorts) {
    if (!published.includes(hostPort) && await isOpen(hostPort)) {
      worlds.push("a port of nobody's is open");
    }
  }
  return worlds.length === 0 ? "absent" : worlds.join(" and ");
}

async function portWords({ published }: VmView): Promise<string[]> {
  const byGuest = published.toSorted((a, b) => a.guestPort - b.guestPort);
  return await Promise.all(
    byGuest.map(async ({ hostPort, guestPort }) =>
      `port ${guestPort} ${await isOpen(hostPort) ? "open" : "closed"}`
    ),
  );
}

/** What there is of the work disk: nothing, a whole one that is as large as the row says, or what is wrong. */
async function workDiskWords(lane: Lane, { id, workDiskBytes }: VmView): Promise<string[]> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(lane.paths.vm(id).workDisk);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return workDiskBytes === 0 ? [] : ["work disk that is missing"];
  }
  using _ = file;
  if (workDiskBytes === 0) return ["work disk that no row knows"];
  const { size } = await file.stat();
  const head = new Uint8Array(magicAt + 2);
  const read = await file.read(head);
  const isWhole = read === head.length && head[magicAt] === 0x53 && head[magicAt + 1] === 0xef &&
    size >= workDiskBytes;
  if (!isWhole) return ["work disk that is damaged"];
  const isMarked = new TextDecoder().decode(head.subarray(0, mark.length)) === mark;
  return [`${isMarked ? "marked " : ""}work disk of ${workDiskBytes / mib} MiB`];
}

/** Makes the world what it says, with as few calls as it takes. A work disk is marked. */
export async function bringTo(
  lane: Lane,
  state: "absent" | "created" | "stopped" | "running",
  given: Given = {},
): Promise<void> {
  const now = await world(lane);
  if (now === wordsOf(state, given)) return;
  if (now === wordsOf("running", given) && state === "stopped") {
    return await lane.done("vm.stop", { vm: name, timeoutMs: null, force: true });
  }
  if (now === wordsOf("stopped", given) && state === "running") {
    return await lane.done("vm.start", { vm: name });
  }
  for (const vm of await lane.vms()) {
    if (vm.name !== name && vm.name !== renamed) continue;
    await lane.done("vm.delete", { vm: vm.id, force: true });
  }
  if (state === "absent") return;
  await lane.done("vm.create", paramsOf(lane, given, state !== "created"));
  if (given.workDisk === true) await markWorkDisk(lane);
  if (state === "stopped") await lane.done("vm.stop", { vm: name, timeoutMs: null, force: true });
}

/** The world of a VM that is as {@linkcode bringTo} makes it. */
export function wordsOf(state: string, given: Given): string {
  const { publish = [], workDisk = false, workspace } = given;
  const ports = publish.map((port) => `port ${port} ${state === "running" ? "open" : "closed"}`);
  const disk = workDisk ? [`marked work disk of ${diskBytes / mib} MiB`] : [];
  const place = workspace === undefined ? [] : [`workspace ${workspace}`];
  return state === "absent" ? state : [state, ...place, ...ports, ...disk].join(", ");
}

async function markWorkDisk(lane: Lane): Promise<void> {
  const { id } = (await lane.vm(name))!;
  using file = await Deno.open(lane.paths.vm(id).workDisk, { write: true });
  await file.write(new TextEncoder().encode(mark));
}
