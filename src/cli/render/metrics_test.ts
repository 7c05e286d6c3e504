import assert from "node:assert/strict";
import type { DaemonStatus } from "../../api/daemon.ts";
import type { VmStatsView } from "../../api/vm.ts";
import { vmViewOf } from "../testdata/fake_daemon.ts";
import { metricsText } from "./metrics.ts";

const daemon = {
  startedAtMs: 1_700_000_000_500,
  rssBytes: 61,
  runningOperations: 2,
} as DaemonStatus;
const stats: VmStatsView = {
  name: "web",
  id: "00112233445566aa",
  measuredAtMs: 1_700_000_000_000,
  cpuPercent: 12.5,
  cpus: 2,
  cpuBusyS: 1.25,
  load1: 0.5,
  memoryUsedBytes: 3,
  memoryTotalBytes: 4,
  diskUsedBytes: 5,
  diskTotalBytes: 6,
  hostDiskBytes: 7,
  receivedBytes: null,
  sentBytes: null,
  receivedBytesPerS: null,
  sentBytesPerS: null,
  sshSessions: 0,
  execs: 1,
};

Deno.test("metrics are in Prometheus' text format, and what is not known is left out", () => {
  const text = metricsText(daemon, [vmViewOf(), vmViewOf({ state: "stopped" })], [stats]);
  assert.match(
    text,
    /^# HELP banger_daemon_start_time_seconds .*\n# TYPE banger_daemon_start_time_seconds gauge\nbanger_daemon_start_time_seconds 1700000000\.5\n/,
  );
  assert.match(text, /^banger_vms\{state="running"\} 1$/m);
  assert.match(text, /^banger_vm_cpu_busy_seconds_total\{vm="web",id="00112233445566aa"\} 1\.25$/m);
  assert.doesNotMatch(text, /received/);
  const line =
    /^(# (HELP|TYPE) [a-z0-9_]+ .+|[a-z0-9_]+(\{([a-z]+="[a-z0-9-]+",?)+\})? [0-9.e+-]+)$/;
  for (const each of text.trimEnd().split("\n")) assert.match(each, line);
});

Deno.test("without VMs there are no metrics of VMs", () => {
  assert.doesNotMatch(metricsText(daemon, [], []), /banger_vm_/);
});
