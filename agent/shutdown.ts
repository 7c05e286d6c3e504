import type { AgentContext } from "./context.ts";
import { exists, readText } from "./files.ts";
import { sleep } from "./sleep.ts";
import { busybox } from "./tool.ts";

/** How often an init is asked again that has not ended, and after how long. */
const askedAgain = 12;
const againMs = 2_000;

/**
 * Asks the guest's init to end, and again until it has: process 1 ignores a signal that it has no handler
 * for, as systemd in its first moments and the kit's init before the image's.
 */
export async function shutdown(context: AgentContext, how: "poweroff" | "reboot"): Promise<void> {
  await askInit(context, how);
  void askAgain(context, how);
}

async function askAgain(context: AgentContext, how: "poweroff" | "reboot"): Promise<void> {
  for (let turn = 0; turn < askedAgain; turn++) {
    await sleep(againMs);
    await askInit(context, how);
  }
}

/**
 * Without ACPI the machine cannot be switched off, only reset, and a
 * VM that runs with `-no-reboot` ends by that: then a poweroff is a reboot.
 */
async function askInit(context: AgentContext, how: "poweroff" | "reboot"): Promise<void> {
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
