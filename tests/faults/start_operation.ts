import { DatabaseSync } from "node:sqlite";
import { BangerError } from "../../src/model/errors.ts";
import type { Lane, Outcome } from "./lane.ts";
import type { FaultOperation } from "./operation.ts";
import type { Plan } from "./plan.ts";
import { createParams } from "./vm_under_test.ts";

/** How long a daemon that cannot work may take to end, in milliseconds. */
const endsMs = 5_000;
/** A directory that belongs to no VM. */
const orphan = "00000000000000aa";
/** VMs, and the state in which a daemon that was killed has left each. */
const left = { gone: "deleting", starts: "starting", rests: "stopped", runs: "running" } as const;

/**
 * The start of a daemon, which reconciles: a deletion and a start were cut off, sockets and an orphan are left, and a VM
 * runs. `prepare` ends the daemon, and the run is that of the next one.
 */
export const startOperation: FaultOperation = {
  name: "daemon start",
  prepare: async (lane) => {
    for (const vm of await lane.vms()) {
      if (!lane.bystanders.has(vm.id) && vm.name !== "runs") {
        await lane.done("vm.delete", { vm: vm.id, force: true });
      }
    }
    for (const name of Object.keys(left)) {
      if (name !== "runs") await lane.done("vm.create", createParams({ name, workDiskBytes: 0 }));
    }
    const runs = await lane.vm("runs");
    if (runs === undefined) {
      await lane.done(
        "vm.create",
        createParams({ name: "runs", start: true, workDiskBytes: 0, publish: [lane.wanted(8003)] }),
      );
    } else if (runs.state !== "running") await lane.done("vm.start", { vm: "runs" });
    const rests = (await lane.vm("rests"))!;
    await lane.down();
    using store = new DatabaseSync(lane.paths.storeFile);
    for (const [name, state] of Object.entries(left)) {
      store.prepare("UPDATE vms SET state = ? WHERE name = ?").run(state, name);
    }
    await Deno.mkdir(lane.paths.vm(rests.id).runDir);
    await Deno.mkdir(lane.paths.vm(orphan).stateDir);
  },
  start: (lane, plan) => begin(lane, plan),
  run: (lane) => lane.attempt("daemon.reconcile", { dryRun: false }),
  world: async (lane) => {
    const vms = (await lane.vms()).filter(({ id }) => !lane.bystanders.has(id));
    return vms.map(({ name, state }) => `${name} ${state}`).sort().join(", ");
  },
  worlds: {
    ok: ["rests stopped, runs running, starts created"],
    // What one VM's failure has left, the next reconcile mends.
    failed: ["gone deleting, ", ""].flatMap((gone) =>
      ["starting", "created"].map((starts) =>
        `${gone}rests stopped, runs running, starts ${starts}`
      )
    ),
    lost: ["rests stopped, runs running, starts created"],
    vmm: ["rests stopped, runs stopped, starts created"],
  },
};

/** Starts a daemon that is armed from its first effect on. */
export async function begin(lane: Lane, plan: Plan): Promise<Outcome> {
  await lane.up(plan);
  // Answered when everything is in order.
  const outcome = await lane.attempt("vm.list", {});
  if (lane.daemon.isOver) return { how: "lost" };
  if (outcome.how === "failed") {
    // It has told why it has no store, and ends, so that the next one tries again.
    await lane.daemon.endedWithin(endsMs);
    if (!lane.daemon.isOver) throw new Error(`it stays without a store: ${outcome.error.message}`);
  }
  // Only the log tells of a VM that could not be mended.
  const isDisturbed = outcome.how === "ok" && plan.at > 0 &&
    (plan.fault === "enospc" || plan.fault === "eio");
  return isDisturbed ? { how: "failed", error: new BangerError("internal", "disturbed") } : outcome;
}
