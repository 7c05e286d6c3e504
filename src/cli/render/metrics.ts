import type { DaemonStatus } from "../../api/daemon.ts";
import type { VmStatsView, VmView } from "../../api/vm.ts";
import { vmStates } from "../../model/vm.ts";

interface Metric {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly values: readonly (readonly [labels: Readonly<Record<string, string>>, number])[];
}

/** Metrics of daemon and VMs in Prometheus' text format 0.0.4. */
export function metricsText(
  daemon: DaemonStatus,
  vms: readonly VmView[],
  stats: readonly VmStatsView[],
): string {
  const perVm = (
    name: string,
    type: Metric["type"],
    help: string,
    of: (stats: VmStatsView) => number | null,
  ): Metric => ({
    name: `banger_vm_${name}`,
    type,
    help,
    values: stats.flatMap((each) => {
      const value = of(each);
      return value === null ? [] : [[{ vm: each.name, id: each.id }, value] as const];
    }),
  });
  const single = (name: string, help: string, value: number): Metric => ({
    ...{ name: `banger_daemon_${name}`, type: "gauge", help, values: [[{}, value]] },
  });
  const metrics: readonly Metric[] = [
    single(
      "start_time_seconds",
      "When the daemon started, since the epoch.",
      daemon.startedAtMs / 1000,
    ),
    single("resident_memory_bytes", "Memory that the daemon has.", daemon.rssBytes),
    single("operations_running", "Operations under way.", daemon.runningOperations),
    {
      name: "banger_vms",
      type: "gauge",
      help: "VMs by state.",
      values: vmStates.map((
        state,
      ) => [{ state }, vms.filter((vm) => vm.state === state).length] as const),
    },
    perVm(
      "cpu_busy_seconds_total",
      "counter",
      "Processor time of the guest that was not idle.",
      (s) => s.cpuBusyS,
    ),
    perVm("cpus", "gauge", "Virtual processors.", (s) => s.cpus),
    perVm("load1", "gauge", "Load of the guest over a minute.", (s) => s.load1),
    perVm("memory_used_bytes", "gauge", "Memory that the guest uses.", (s) => s.memoryUsedBytes),
    perVm("memory_total_bytes", "gauge", "Memory that the guest has.", (s) => s.memoryTotalBytes),
    perVm(
      "disk_used_bytes",
      "gauge",
      "What the guest's root file system holds.",
      (s) => s.diskUsedBytes,
    ),
    perVm(
      "disk_total_bytes",
      "gauge",
      "Size of the guest's root file system.",
      (s) => s.diskTotalBytes,
    ),
    perVm(
      "host_disk_bytes",
      "gauge",
      "What the VM's disk takes on the host.",
      (s) => s.hostDiskBytes,
    ),
    perVm(
      "network_received_bytes_total",
      "counter",
      "Bytes that the guest has received.",
      (s) => s.receivedBytes,
    ),
    perVm(
      "network_sent_bytes_total",
      "counter",
      "Bytes that the guest has sent.",
      (s) => s.sentBytes,
    ),
    perVm("ssh_sessions", "gauge", "Open ssh connections to the guest.", (s) => s.sshSessions),
    perVm("execs", "gauge", "Commands that run in the guest for clients.", (s) => s.execs),
  ];
  return metrics.filter(({ values }) => values.length > 0).map(metricText).join("");
}

function metricText({ name, type, help, values }: Metric): string {
  const lines = values.map(([labels, value]) => {
    // Names and ids need no escapes: they are letters, digits and hyphens.
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${text}"`).join(",");
    return `${name}${pairs === "" ? "" : `{${pairs}}`} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}
