import type { VmStatsView } from "../../../api/vm.ts";
import type { VmRecord } from "../../../model/vm.ts";
import type { Measurement } from "./stats.ts";

/** A measurement as clients see it. `hostDiskBytes`: what the VM's disks take on the host now. */
export function statsViewOf(
  vm: VmRecord,
  measured: Measurement,
  hostDiskBytes: number,
): VmStatsView {
  const { guest } = measured;
  return {
    id: vm.id,
    name: vm.config.name,
    measuredAtMs: measured.measuredAtMs,
    cpuPercent: measured.cpuPercent,
    cpus: vm.config.cpus,
    cpuBusyS: guest.cpu?.busyS ?? null,
    load1: guest.load1,
    memoryUsedBytes: Math.max(0, guest.memoryTotalBytes - guest.memoryAvailableBytes),
    memoryTotalBytes: guest.memoryTotalBytes,
    diskUsedBytes: Math.max(0, guest.diskTotalBytes - guest.diskFreeBytes),
    diskTotalBytes: guest.diskTotalBytes,
    hostDiskBytes,
    receivedBytes: guest.network?.receivedBytes ?? null,
    sentBytes: guest.network?.sentBytes ?? null,
    receivedBytesPerS: measured.receivedBytesPerS,
    sentBytesPerS: measured.sentBytesPerS,
    sshSessions: guest.sshSessions,
    execs: measured.execs,
  };
}
