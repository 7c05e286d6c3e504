import type { GuestStats } from "../src/wire/messages.ts";
import type { AgentContext } from "./context.ts";
import { readText } from "./files.ts";
import { busybox } from "./tool.ts";

/** Load, memory, and the root file system's size. */
export async function stats(context: AgentContext): Promise<GuestStats> {
  const memory = readText("/proc/meminfo") ?? "";
  const kibibytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(memory)?.[1] ?? 0);
  // Block size, blocks, and blocks free to ordinary users.
  const disk = await busybox(context, ["stat", "-f", "-c", "%S %b %a", `${context.root}/`]);
  const [block = 0, total = 0, free = 0] = (disk ?? "").trim().split(" ").map(Number);
  return {
    load1: Number.parseFloat(readText("/proc/loadavg") ?? "0"),
    memoryTotalBytes: kibibytes("MemTotal") * 1024,
    memoryAvailableBytes: kibibytes("MemAvailable") * 1024,
    diskTotalBytes: block * total,
    diskFreeBytes: block * free,
  };
}
