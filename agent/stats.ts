import { type GuestStats, sshPort } from "../src/wire/messages.ts";
import type { AgentContext } from "./context.ts";
import { readText } from "./files.ts";
import { busybox } from "./tool.ts";

/** Load, memory, the root file system's size, and what processors and network have done. */
export async function stats(context: AgentContext): Promise<GuestStats> {
  const { root } = context;
  const memory = readText("/proc/meminfo") ?? "";
  const kibibytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(memory)?.[1] ?? 0);
  // Block size, blocks, and blocks free to ordinary users.
  const disk = await busybox(context, ["stat", "-f", "-c", "%S %b %a", `${root}/`]);
  const [block = 0, total = 0, free = 0] = (disk ?? "").trim().split(" ").map(Number);
  return {
    load1: Number.parseFloat(readText("/proc/loadavg") ?? "0"),
    memoryTotalBytes: kibibytes("MemTotal") * 1024,
    memoryAvailableBytes: kibibytes("MemAvailable") * 1024,
    diskTotalBytes: block * total,
    diskFreeBytes: block * free,
    cpu: cpuTimes(readText("/proc/stat") ?? ""),
    network: networkBytes(readText("/proc/net/dev") ?? ""),
    sshSessions: sshSessions(["tcp", "tcp6"].map((file) => readText(`/proc/net/${file}`) ?? "")),
  };
}

/** USER_HZ, the same on every architecture that banger's guests have (time(7)). */
const ticksPerS = 100;

/** The first line of /proc/stat (proc_stat(5)): times by what they were spent on. */
export function cpuTimes(text: string): GuestStats["cpu"] {
  const fields = /^cpu +([0-9 ]+)$/m.exec(text)?.[1]?.trim().split(" ").map(Number);
  if (fields === undefined || fields.length < 8) return null;
  // Those of guests, behind the eighth, are in the first two as well.
  const total = fields.slice(0, 8).reduce((sum, ticks) => sum + ticks, 0);
  const idle = fields[3]! + fields[4]!;
  return { totalS: total / ticksPerS, busyS: (total - idle) / ticksPerS };
}

/** Sums of /proc/net/dev (proc_pid_net(5)): the first and ninth number behind each interface's name. */
export function networkBytes(text: string): GuestStats["network"] {
  let [receivedBytes, sentBytes] = [0, 0];
  for (const line of text.split("\n").slice(2)) {
    const [name, counters] = line.split(":");
    const numbers = (counters ?? "").trim().split(/\s+/).map(Number);
    if (numbers.length < 9 || name!.trim() === "lo") continue;
    receivedBytes += numbers[0]!;
    sentBytes += numbers[8]!;
  }
  return { receivedBytes, sentBytes };
}

/** Sockets in ESTABLISHED whose own port is the kit's ssh server's. */
export function sshSessions(tables: readonly string[]): number {
  const port = sshPort.toString(16).toUpperCase().padStart(4, "0");
  return tables.flatMap((text) => text.split("\n").slice(1)).filter((line) => {
    const fields = line.trim().split(/\s+/);
    return fields[3] === "01" && fields[1]?.endsWith(`:${port}`) === true;
  }).length;
}
