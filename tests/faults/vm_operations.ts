import type { FaultOperation } from "./operation.ts";
import { bringTo, gib, name, paramsOf, renamed, world } from "./vm_under_test.ts";

const stop = { vm: name, timeoutMs: 1_000, force: false };

/** The verbs on VMs, as the fault matrix has them. */
export const vmOperations: readonly FaultOperation[] = [
  {
    name: "create",
    atRest: true,
    prepare: (lane) => bringTo(lane, "absent"),
    run: (lane) => lane.attempt("vm.create", paramsOf(lane, {})),
    world,
    worlds: { ok: ["created"], failed: ["absent"], lost: ["absent", "created"] },
    refusedAgain: /name is taken/,
    refusedTwice: /name is taken/,
  },
  {
    name: "create --start",
    prepare: (lane) => bringTo(lane, "absent"),
    run: (lane) => lane.attempt("vm.create", paramsOf(lane, {}, true)),
    // One whose machine ran stays, with its console to read.
    again: (lane, world) =>
      world === "failed"
        ? lane.attempt("vm.start", { vm: name })
        : lane.attempt("vm.create", paramsOf(lane, {}, true)),
    world,
    worlds: {
      ok: ["running"],
      failed: ["absent"],
      lost: ["absent", "running"],
      vmm: ["stopped"],
      broke: ["failed"],
    },
    refusedAgain: /name is taken/,
    refusedTwice: /name is taken/,
  },
  {
    name: "run --rm",
    prepare: (lane) => bringTo(lane, "absent"),
    run: (lane) =>
      lane.attempt("vm.create", { ...paramsOf(lane, {}, true), ephemeral: true, lease: true }),
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
      failed: ["created"],
      lost: ["created", "running"],
      vmm: ["stopped"],
      broke: ["failed"],
    },
  },
  {
    name: "start",
    prepare: (lane) => bringTo(lane, "stopped"),
    run: (lane) => lane.attempt("vm.start", { vm: name }),
    world,
    worlds: {
      ok: ["running"],
      failed: ["stopped"],
      lost: ["stopped", "running"],
      vmm: ["stopped"],
      broke: ["failed"],
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
      failed: ["running", "stopping", "stopped"],
      lost: ["running", "stopped"],
      vmm: ["stopped"],
      broke: ["failed"],
    },
  },
  {
    name: "delete",
    atRest: true,
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
    atRest: true,
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
    atRest: true,
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
