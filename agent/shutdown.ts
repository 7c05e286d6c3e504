import type { AgentContext } from "./context.ts";
import { exists, readText } from "./files.ts";
import { busybox } from "./tool.ts";

/**
 * Asks the guest's init to end. Without ACPI the machine cannot be switched off, only reset, and a
 * VM that runs with `-no-reboot` ends by that: then a poweroff is a reboot.
 */
export async function shutdown(context: AgentContext, how: "poweroff" | "reboot"): Promise<void> {
  const canPowerOff = exists("/sys/firmware/acpi");
  const reboot = how === "reboot" || !canPowerOff;
  const init = readText("/proc/1/comm")?.trim();
  if (init === "systemd") {
    // SIGRTMIN+4 starts poweroff.target, SIGRTMIN+5 reboot.target (systemd(1)); RTMIN is 34.
    await busybox(context, ["kill", reboot ? "-39" : "-38", "1"]);
    return;
  }
  if (init === "kit-init" || init === "busybox") {
    Deno.kill(1, reboot ? "SIGTERM" : "SIGUSR2");
    return;
  }
  await busybox(context, [
    "sh",
    "-c",
    `(sleep 0.2; sync; umount -a -r; exec ${context.kit}/bin/busybox ${
      reboot ? "reboot" : "poweroff"
    } -f) </dev/null >/dev/null 2>&1 &`,
  ]);
}
