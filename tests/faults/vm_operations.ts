import type { ParamsOf } from "../../src/api/methods.ts";
import type { Lane } from "./lane.ts";
import type { FaultOperation } from "./operation.ts";

/** The VM under test, and the name that it is given. */
const name = "web", renamed = "web-2";
const gib = 1024 ** 3;

/** Parameters of `vm.create`, for a VM with nothing special. */
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

/** `absent`, or the VM's state, and what differs from a new VM. */
async function world(lane: Lane): Promise<string> {
  const vms = await lane.vms();
  const found = vms.filter((vm) => vm.name === name || vm.name === renamed);
  if (found.length === 0) return "absent";
  return found.map((vm) => {
    const changes = [
      ...(vm.ephemeral ? ["ephemeral"] : []),
      ...(vm.name === name ? [] : [vm.name]),
      ...(vm.cpus === 1 ? [] : [`${vm.cpus} cpus`]),
      ...(vm.diskBytes === 64 * 1024 ** 2 ? [] : [`disk of ${vm.diskBytes / gib} GiB`]),
    ];
    return [vm.state, ...changes].join(", ");
  }).join(" and ");
}

/** Makes the world what it says, with as few calls as it takes. */
async function bringTo(lane: Lane, wanted: "absent" | "created" | "stopped" | "running") {
  if (await world(lane) === wanted) return;
  for (const vm of await lane.vms()) {
    if (vm.name !== name && vm.name !== renamed) continue;
    const isPlain = vm.name === name && !vm.ephemeral && vm.cpus === 1 &&
      vm.diskBytes === 64 * 1024 ** 2;
    if (isPlain && vm.state === "running" && wanted === "stopped") {
      return await lane.done("vm.stop", { vm: vm.id, timeoutMs: null, force: true });
    }
    if (isPlain && vm.state === "stopped" && wanted === "running") {
      return await lane.done("vm.start", { vm: vm.id });
    }
    await lane.done("vm.delete", { vm: vm.id, force: true });
  }
  if (wanted === "absent") return;
  await lane.done("vm.create", createParams({ start: wanted !== "created" }));
  if (wanted === "stopped") await lane.done("vm.stop", { vm: name, timeoutMs: null, force: true });
}

const stop = { vm: name, timeoutMs: 1_000, force: false };

/** The verbs on VMs, as the fault matrix has them. */
export const vmOperations: readonly FaultOperation[] = [
  {
    name: "create",
    prepare: (lane) => bringTo(lane, "absent"),
    run: (lane) => lane.attempt("vm.create", createParams()),
    world,
    worlds: { ok: ["created"], failed: ["absent"], lost: ["absent", "created"] },
    refusedAgain: /name is taken/,
    refusedTwice: /name is taken/,
  },
  {
    name: "create --start",
    prepare: (lane) => bringTo(lane, "absent"),
    run: (lane) => lane.attempt("vm.create", createParams({ start: true })),
    // One whose machine ran stays, with its console to read.
    again: (lane, world) =>
      world === "failed"
        ? lane.attempt("vm.start", { vm: name })
        : lane.attempt("vm.create", createParams({ start: true })),
    world,
    worlds: {
      ok: ["running"],
      failed: ["absent", "failed"],
      lost: ["absent", "running"],
      vmm: ["stopped"],
    },
    refusedAgain: /name is taken/,
    refusedTwice: /name is taken/,
  },
  {
    name: "run --rm",
    prepare: (lane) => bringTo(lane, "absent"),
    run: (lane) =>
      lane.attempt("vm.create", createParams({ start: true, ephemeral: true, lease: true })),
    world,
    worlds: {
      ok: ["running, ephemeral"],
      failed: ["absent"],
      lost: ["absent"],
      vmm: ["stopped, ephemeral"],
    },
    refusedAgain: /name is taken/,
    refusedTwice: /name is taken/,
  },
  {
    name: "start (first)",
    prepare: (lane) => bringTo(lane, "created"),
    run: (lane) => lane.attempt("vm.start", { vm: name }),
    world,
    worlds: {
      ok: ["running"],
      failed: ["created", "stopped", "failed"],
      lost: ["created", "stopped", "running"],
      vmm: ["stopped"],
    },
  },
  {
    name: "start",
    prepare: (lane) => bringTo(lane, "stopped"),
    run: (lane) => lane.attempt("vm.start", { vm: name }),
    world,
    worlds: {
      ok: ["running"],
      failed: ["stopped", "failed"],
      lost: ["stopped", "running"],
      vmm: ["stopped"],
    },
  },
  {
    name: "stop",
    prepare: (lane) => bringTo(lane, "running"),
    run: (lane) => lane.attempt("vm.stop", stop),
    world,
    worlds: {
      ok: ["stopped"],
      failed: ["running", "stopping", "stopped"],
      lost: ["running", "stopped"],
    },
  },
  {
    name: "kill",
    prepare: (lane) => bringTo(lane, "running"),
    run: (lane) => lane.attempt("vm.stop", { ...stop, force: true }),
    world,
    worlds: {
      ok: ["stopped"],
      failed: ["running", "stopping", "stopped"],
      lost: ["running", "stopped"],
    },
  },
  {
    name: "restart",
    prepare: (lane) => bringTo(lane, "running"),
    run: (lane) => lane.attempt("vm.restart", stop),
    world,
    worlds: {
      ok: ["running"],
      failed: ["running", "stopping", "stopped", "failed"],
      lost: ["running", "stopped"],
      vmm: ["stopped"],
    },
  },
  {
    name: "delete",
    prepare: (lane) => bringTo(lane, "stopped"),
    run: (lane) => lane.attempt("vm.delete", { vm: name, force: false }),
    world,
    worlds: { ok: ["absent"], failed: ["stopped", "deleting"], lost: ["stopped", "absent"] },
    refusedAgain: /there is none/,
    refusedTwice: /there is none|was deleted meanwhile/,
  },
  {
    name: "delete --force",
    prepare: (lane) => bringTo(lane, "running"),
    run: (lane) => lane.attempt("vm.delete", { vm: name, force: true }),
    world,
    worlds: { ok: ["absent"], failed: ["running", "deleting"], lost: ["running", "absent"] },
    refusedAgain: /there is none/,
    refusedTwice: /there is none|was deleted meanwhile/,
  },
  {
    name: "reset",
    prepare: (lane) => bringTo(lane, "stopped"),
    run: (lane) => lane.attempt("vm.reset", { vm: name, image: null, force: true }),
    world,
    worlds: {
      ok: ["stopped", "created"],
      failed: ["stopped", "resetting", "failed", "created"],
      lost: ["stopped", "created"],
    },
  },
  {
    name: "set",
    prepare: (lane) => bringTo(lane, "created"),
    run: async (lane) => {
      const vm = await lane.vm(name) ?? await lane.vm(renamed);
      return await lane.attempt("vm.set", {
        ...{ vm: vm?.id ?? name, name: renamed, cpus: 2, memoryMib: null, diskBytes: 2 * gib },
        ...{ workDiskBytes: null, command: "keep" as const, autoPorts: null },
        ...{ labels: {}, autoStopMs: "keep" as const },
      });
    },
    world,
    worlds: {
      ok: [`created, ${renamed}, 2 cpus, disk of 2 GiB`],
      failed: ["created"],
      lost: ["created", `created, ${renamed}, 2 cpus, disk of 2 GiB`],
    },
  },
];
