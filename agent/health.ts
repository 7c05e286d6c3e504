import type { Health } from "../src/wire/messages.ts";
import type { AgentContext } from "./context.ts";
import { exists, readText } from "./files.ts";
import { tool } from "./tool.ts";
import { agentVersion } from "./version.ts";

/** Seconds since the kernel started; 0 when /proc is missing. */
export function uptimeS(): number {
  return Number.parseFloat(readText("/proc/uptime") ?? "0");
}

/** Whether the kit's ssh server listens: it writes this file when it does (sshd(8)). */
export function sshReady(context: AgentContext): boolean {
  return exists(`${context.root}/run/banger/ssh/sshd.pid`);
}

/** State of the guest. */
export async function health(context: AgentContext): Promise<Health> {
  return {
    agentVersion,
    uptimeS: uptimeS(),
    initState: await initState(context),
    sshReady: sshReady(context),
  };
}

async function initState(context: AgentContext): Promise<string> {
  // The directory exists when systemd is the running init (sd_booted(3)).
  if (!exists(`${context.root}/run/systemd/system/.`)) return "none";
  if (readText("/proc/1/comm")?.trim() !== "systemd") return "none";
  const state = await tool("/usr/bin/systemctl", ["is-system-running"]);
  return state?.trim() || "starting";
}
