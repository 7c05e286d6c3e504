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

/** Methods on the daemon itself. */
export const daemonMethods = {
  "daemon.ping": method(nothing, daemonVersion),
  "daemon.status": method(nothing, daemonStatus),
  /** Ends the daemon after this answer. VMs go on; refused with `conflict` while operations run, unless `force`. */
  "daemon.stop": method(v.strictObject({ force: v.boolean() }), nothing),
  /** Trial boot (cached); `null` while no kernel is here to try. */
  "host.acceleration": method(nothing, v.object({ acceleration: v.nullable(accelerationView) })),
} as const;
