import type { VmStatsView } from "../../api/vm.ts";
import { BangerError } from "../../model/errors.ts";
import { defineCommand, flag } from "../command.ts";
import { bytesText, momentText } from "../render/amounts.ts";
import { jsonText } from "../render/json_text.ts";
import { table } from "../render/table.ts";
import { vmArgument, vmReference } from "../vm_reference.ts";
import { watchText } from "../watch_text.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm stats` */
export const vmStats = defineCommand({
  description:
    "All running VMs when none is named. CPU is of one processor, so that a VM with two can have 200 %; " +
    "MEMORY and DISK are what the guest uses; ON HOST is what its disks take there.",
  options: {
    watch: flag("Print it again every second, until Ctrl-C", "w"),
    history: flag("What was measured of one VM in the last hour"),
    json: flag("Print JSON"),
  },
  args: { vms: { ...vmArgument, count: "any" } },
  run: async (context, { options, args }) => {
    const vms = args.vms.map(vmReference);
    const { watch, history, json } = options;
    if (watch && (json || history)) {
      throw new BangerError("invalid", "Cannot use --watch with --json or --history");
    }
    const [only] = vms;
    if (history && (only === undefined || vms.length > 1)) {
      throw new BangerError("invalid", "Cannot show the history of VMs: name one VM");
    }
    return await withDaemon(context, async (client) => {
      const get = async (signal?: AbortSignal) =>
        history
          ? (await client.call("vm.stats_history", { vm: only! }, signal)).stats
          : (await client.call("vm.stats", { vms: vms.length === 0 ? null : vms }, signal)).stats;
      if (watch) return await watchText(context, async (signal) => statsTable(await get(signal)));
      const stats = await get();
      if (json) context.out.write(jsonText({ stats }));
      else context.out.write(history ? historyTable(stats) : statsTable(stats));
      return 0;
    });
  },
});

const columns = ["CPU", "LOAD", "MEMORY", "DISK", "ON HOST", "RECEIVED/s", "SENT/s"] as const;

function cells(stats: VmStatsView): string[] {
  return [
    percentText(stats.cpuPercent),
    stats.load1.toFixed(2),
    `${bytesText(stats.memoryUsedBytes)} / ${bytesText(stats.memoryTotalBytes)}`,
    `${bytesText(stats.diskUsedBytes)} / ${bytesText(stats.diskTotalBytes)}`,
    bytesText(stats.hostDiskBytes),
    rateText(stats.receivedBytesPerS),
    rateText(stats.sentBytesPerS),
  ];
}

function statsTable(all: readonly VmStatsView[]): string {
  const rows = all.map((stats) => [stats.name, ...cells(stats)]);
  if (all.length > 1) rows.push(["(total)", ...cells(totalOf(all))]);
  return table(["NAME", ...columns], rows, ["left", ...columns.map(() => "right" as const)]);
}

function historyTable(all: readonly VmStatsView[]): string {
  const rows = all.map((stats) => [momentText(stats.measuredAtMs), ...cells(stats)]);
  return table(["MEASURED", ...columns], rows, ["left", ...columns.map(() => "right" as const)]);
}

function totalOf(all: readonly VmStatsView[]): VmStatsView {
  const sum = (of: (stats: VmStatsView) => number | null) =>
    all.reduce((total, stats) => total + (of(stats) ?? 0), 0);
  return {
    ...all[0]!,
    cpuPercent: sum((it) => it.cpuPercent),
    load1: sum((it) => it.load1),
    memoryUsedBytes: sum((it) => it.memoryUsedBytes),
    memoryTotalBytes: sum((it) => it.memoryTotalBytes),
    diskUsedBytes: sum((it) => it.diskUsedBytes),
    diskTotalBytes: sum((it) => it.diskTotalBytes),
    hostDiskBytes: sum((it) => it.hostDiskBytes),
    receivedBytesPerS: sum((it) => it.receivedBytesPerS),
    sentBytesPerS: sum((it) => it.sentBytesPerS),
  };
}

function percentText(percent: number | null): string {
  return percent === null ? "-" : `${percent.toFixed(1)} %`;
}

function rateText(bytesPerS: number | null): string {
  return bytesPerS === null ? "-" : bytesText(Math.round(bytesPerS));
}
