import type { Lane } from "./lane.ts";
import type { FaultOperation } from "./operation.ts";
import { bringTo, mib, name, paramsOf, wordsOf, world } from "./vm_under_test.ts";

const given = { workDisk: true };
const at = (state: string) => wordsOf(state, given);
/** A work disk that nothing was ever written to. */
const fresh = (state: string) => at(state).replace("marked ", "");

/** `vm set --work-disk`. */
async function setWorkDisk(lane: Lane, workDiskBytes: number) {
  return await lane.attempt("vm.set", {
    ...{ vm: name, name: null, cpus: null, memoryMib: null, diskBytes: null, workDiskBytes },
    ...{ command: "keep", autoPorts: null, labels: {}, autoStopMs: "keep" },
  });
}

/** What a work disk is made, kept and removed by. */
export const workDiskOperations: readonly FaultOperation[] = [
  {
    name: "create --work-disk",
    atRest: true,
    prepare: (lane) => bringTo(lane, "absent"),
    run: (lane) => lane.attempt("vm.create", paramsOf(lane, given)),
    world,
    worlds: { ok: [fresh("created")], failed: ["absent"], lost: ["absent", fresh("created")] },
    refusedAgain: /name is taken/,
    refusedTwice: /name is taken/,
  },
  {
    name: "set --work-disk (first)",
    atRest: true,
    prepare: (lane) => bringTo(lane, "stopped"),
    run: (lane) => setWorkDisk(lane, 64 * mib),
    world,
    worlds: { ok: [fresh("stopped")], failed: ["stopped"], lost: ["stopped", fresh("stopped")] },
  },
  {
    name: "set --work-disk (larger)",
    atRest: true,
    prepare: (lane) => bringTo(lane, "stopped", given),
    run: (lane) => setWorkDisk(lane, 128 * mib),
    world,
    worlds: {
      ok: [at("stopped").replace("64", "128")],
      failed: [at("stopped")],
      lost: [at("stopped"), at("stopped").replace("64", "128")],
    },
  },
  {
    name: "reset (work disk)",
    atRest: true,
    prepare: (lane) => bringTo(lane, "stopped", given),
    run: (lane) => lane.attempt("vm.reset", { vm: name, image: null, force: false }),
    world,
    worlds: {
      ok: [at("stopped")],
      // The old disk is gone first; the next start makes the new one.
      failed: [at("stopped"), at("resetting"), at("failed")],
      lost: [at("stopped")],
    },
  },
  {
    name: "delete (work disk)",
    atRest: true,
    prepare: (lane) => bringTo(lane, "stopped", given),
    run: (lane) => lane.attempt("vm.delete", { vm: name, force: false }),
    world,
    worlds: {
      ok: ["absent"],
      failed: [at("stopped"), at("deleting"), "deleting, work disk that is missing"],
      lost: [at("stopped"), "absent"],
    },
    refusedAgain: /there is none/,
    refusedTwice: /there is none|was deleted meanwhile/,
  },
  {
    name: "start (work disk)",
    prepare: (lane) => bringTo(lane, "stopped", given),
    run: (lane) => lane.attempt("vm.start", { vm: name }),
    world,
    worlds: {
      ok: [at("running")],
      failed: [at("stopped")],
      lost: [at("stopped"), at("running")],
      vmm: [at("stopped")],
      broke: [at("failed")],
    },
  },
];
