import * as v from "valibot";
import { count, method, nothing } from "./schema.ts";

/** State of the owner daemon. */
export const daemonStatus = v.object({
  version: v.string(),
  commit: v.string(),
  pid: count,
  startedAtMs: count,
  socketPath: v.string(),
  stateDir: v.string(),
  logPath: v.string(),
  runningVms: count,
  runningOperations: count,
  rssBytes: count,
});

/** See {@linkcode daemonStatus}. */
export type DaemonStatus = v.InferOutput<typeof daemonStatus>;

/** Whether hardware virtualisation works here, as the trial boot found. */
export const accelerationView = v.object({
  accelerator: v.picklist(["kvm", "tcg"]),
  reason: v.string(),
});

/** What the daemon is. `build` is that of `BuildInfo`; daemons from before there was one leave it out. */
export const daemonVersion = v.object({
  version: v.string(),
  commit: v.string(),
  build: v.optional(v.nullable(v.string()), null),
});

/** See {@linkcode daemonVersion}. */
export type DaemonVersion = v.InferOutput<typeof daemonVersion>;

/** Something that does not agree between store, processes and disk. */
export const mendedView = v.object({
  vmId: v.nullable(v.string()),
  /** `null` when the store knows no such VM. */
  name: v.nullable(v.string()),
  /** `adopt` takes a running VM over, `end` records that it stopped, `delete` and `reset` carry on what was cut off, `tidy` removes what a VM at rest may not have, `remove` clears what belongs to no VM. */
  action: v.picklist(["adopt", "end", "delete", "reset", "tidy", "remove"]),
  why: v.string(),
  /** Why it could not be mended; `null` when it was, or was only to be told. */
  failure: v.nullable(v.string()),
});

/** Methods on the daemon itself. */
export const daemonMethods = {
  "daemon.ping": method(nothing, daemonVersion),
  "daemon.status": method(nothing, daemonStatus),
  /** Ends the daemon after this answer. VMs go on; refused with `conflict` while operations run, unless `force`. */
  "daemon.stop": method(v.strictObject({ force: v.boolean() }), nothing),
  /**
   * Mends what does not agree between store, processes and disk, as the daemon does at its start; with `dryRun`
   * only tells. VMs that somebody works on now are left alone.
   */
  "daemon.reconcile": method(
    v.strictObject({ dryRun: v.boolean() }),
    v.object({ mended: v.array(mendedView) }),
  ),
  /** Trial boot (cached); `null` while no kernel is here to try. */
  "host.acceleration": method(nothing, v.object({ acceleration: v.nullable(accelerationView) })),
} as const;
