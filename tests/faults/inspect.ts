import type { VmView } from "../../src/api/vm.ts";
import { activeStates } from "../../src/model/vm.ts";
import { isOpen } from "../support/loopback_client.ts";
import type { Lane } from "./lane.ts";

/** Processes of one VM, by pid. */
interface VmProcesses {
  readonly qemu: number[];
  readonly passt: number[];
  readonly filter: number[];
}

/** How long what ends by itself may take for it. */
const settleMs = 2_000;
/** In these states there may be more than a directory; a deletion that failed is carried on by the next. */
const mayHave: readonly VmView["state"][] = [...activeStates, "deleting"];
/** What no VM's directory may hold once everything is in order. */
const halfMade = /^(\.key-.*|initrd\.img|.*\.new)$/;

/**
 * What does not agree between store, processes and disk (I1, I2), in words; empty when all is in order. VMs in a
 * state between two others are looked at only for what they may never have. What `mayStay` is not waited for to end.
 */
export async function inspect(
  lane: Lane,
  mayStay: (wrong: string) => boolean = () => false,
): Promise<readonly string[]> {
  const endMs = performance.now() + settleMs;
  for (;;) {
    const found = await look(lane);
    if (found.every(mayStay) || performance.now() > endMs) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function look(lane: Lane): Promise<string[]> {
  const { paths } = lane;
  const vms = await lane.vms();
  const processes = processesOf(lane);
  const wrong: string[] = [];
  const known = new Set(vms.map(({ id }) => id));
  for (const [key, { qemu, passt, filter }] of processes) {
    if (vms.some(({ id }) => id.startsWith(key))) continue;
    wrong.push(`processes ${[...qemu, ...passt, ...filter]} belong to no VM`);
  }
  for (const name of await namesIn(paths.vmsDir)) {
    if (!known.has(name)) wrong.push(`directory vms/${name} belongs to no VM`);
  }
  for (const name of await namesIn(paths.memoryDir)) {
    if (!vms.some(({ id, state }) => id === name && mayHave.includes(state))) {
      wrong.push(`memory file ${name} belongs to no VM that runs`);
    }
  }
  for (const name of await namesIn(paths.runtimeDir)) {
    if (!/^[0-9a-f]{12}$/.test(name)) continue;
    if (!vms.some(({ id, state }) => id.startsWith(name) && mayHave.includes(state))) {
      wrong.push(`socket directory ${name} belongs to no VM that runs`);
    }
  }
  for (const name of await namesIn(paths.stateDir)) {
    if (/^\.|\.new$/.test(name)) wrong.push(`state/${name} is left`);
  }
  for (const name of await namesIn(paths.stagingDir)) wrong.push(`staging/${name} is left`);
  wrong.push(...await lookAtImages(lane));
  wrong.push(...await lookAtPorts(lane, vms));
  for (const vm of vms) {
    wrong.push(...await lookAtVm(lane, vm, processes.get(vm.id.slice(0, 12))));
  }
  const { operations } = await lane.call("operation.list", {});
  for (const { method, state } of operations) {
    if (state === "running") wrong.push(`operation ${method} still runs`);
  }
  return wrong;
}

/** Directories of images and kernels have rows, and those in the store have directories. */
async function lookAtImages(lane: Lane): Promise<string[]> {
  const { images } = await lane.call("image.list", {});
  const { kernels } = await lane.call("kernel.list", {});
  const managed = images.filter((image) => image.managed);
  return [
    ...await lookAtDirs(lane, "image", managed.map(({ digest }) => digest)),
    ...await lookAtDirs(lane, "kernel", kernels.map(({ digest }) => digest)),
  ];
}

async function lookAtDirs(
  { paths }: Lane,
  kind: "image" | "kernel",
  digests: readonly string[],
): Promise<string[]> {
  const all = kind === "image" ? paths.imagesDir : paths.kernelsDir;
  const dirs = digests.map((digest) => paths.artefactDir(kind, digest).slice(all.length + 1));
  const found = await namesIn(all);
  return [
    ...found.filter((name) => !dirs.includes(name)).map((name) => `${kind}s/${name} has no row`),
    ...dirs.filter((name) => !found.includes(name)).map((name) => `${kind}s/${name} is gone`),
  ];
}

/** The lane's ports are open that a running VM publishes, and no others. */
async function lookAtPorts({ hostPorts }: Lane, vms: readonly VmView[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const port of hostPorts) {
    const owner = vms.find(({ published }) => published.some(({ hostPort }) => hostPort === port));
    const state = owner?.state ?? "absent";
    if (state !== "running" && state !== "stopped" && state !== "created" && state !== "absent") {
      continue;
    }
    const open = await isOpen(port);
    if (open === (state === "running")) continue;
    wrong.push(`published port ${port} is ${open ? "open" : "closed"}, and its VM is ${state}`);
  }
  return wrong;
}

async function lookAtVm(
  lane: Lane,
  vm: VmView,
  processes: VmProcesses = { qemu: [], passt: [], filter: [] },
): Promise<string[]> {
  const wrong: string[] = [];
  const { qemu, passt, filter } = processes;
  const counts = [qemu.length, passt.length, filter.length];
  const told = `VM ${vm.name} (${vm.state}) has ${
    counts.join("+")
  } processes of QEMU, passt and filter`;
  if (vm.state === "running") {
    if (counts.some((count) => count !== 1)) return [told];
    try {
      await lane.call("vm.health", { vm: vm.id });
    } catch (error) {
      wrong.push(`VM ${vm.name} runs and does not answer: ${(error as Error).message}`);
    }
    const handles = JSON.parse(await Deno.readTextFile(lane.paths.vm(vm.id).handles));
    const pids = [handles.machine?.process.pid, handles.passt?.pid, handles.netFilter?.pid];
    if (pids.join() !== [...qemu, ...passt, ...filter].join()) {
      wrong.push(`VM ${vm.name}: handles.json names ${pids}, there are ${[qemu, passt, filter]}`);
    }
  } else if (!activeStates.includes(vm.state) && vm.state !== "deleting") {
    if (counts.some((count) => count !== 0)) wrong.push(told);
  }
  if (vm.state === "starting" || vm.state === "stopping" || vm.state === "deleting") return wrong;
  for (const name of await namesIn(lane.paths.vm(vm.id).stateDir)) {
    if (halfMade.test(name)) wrong.push(`VM ${vm.name} (${vm.state}) has a half-made file ${name}`);
  }
  const bystander = lane.bystanders.get(vm.id);
  if (bystander !== undefined && qemu[0] !== bystander) {
    wrong.push(`I5: VM ${vm.name} had QEMU ${bystander} and has ${qemu}`);
  }
  return wrong;
}

/** All processes of the fake program of this lane, by the first twelve digits of their VM's id. */
export function processesOf(lane: Lane): ReadonlyMap<string, VmProcesses> {
  const found = new Map<string, VmProcesses>();
  const { program } = lane.fake.vmm;
  // Synchronously: each takes some microseconds, and a busy machine has hundreds.
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = commandLineOf(name);
    if (!line.startsWith(`${program}\0`)) continue;
    const sockets = `${lane.paths.runtimeDir}/`;
    const at = line.indexOf(sockets) + sockets.length;
    const key = line.slice(at, at + 12);
    const all = found.get(key) ?? { qemu: [], passt: [], filter: [] };
    found.set(key, all);
    const kind = line.includes("guest=banger-")
      ? "qemu"
      : line.includes("--socket")
      ? "passt"
      : "filter";
    all[kind].push(Number(name));
  }
  return found;
}

/** Empty for a process that is gone, or a zombie. */
function commandLineOf(pid: string): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`);
  } catch {
    return "";
  }
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await Array.fromAsync(Deno.readDir(dir), ({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
