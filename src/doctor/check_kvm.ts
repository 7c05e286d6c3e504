import { deviceAccess } from "../process/device_access.ts";
import type { CheckResult } from "./check.ts";

/** What the trial boot found. */
export interface KnownAcceleration {
  readonly accelerator: "kvm" | "tcg";
  readonly reason: string;
}

const id = "kvm";
const neededFor = "speed: without it VMs run in software, several times slower";

/**
 * Whether hardware virtualisation can be used. A /dev/kvm that opens is no proof: only the trial boot
 * of a real kernel is, which the daemon makes and remembers. `uid` is the user whose VMs are meant.
 */
export async function checkKvm(
  known: KnownAcceleration | null,
  uid: number,
): Promise<readonly CheckResult[]> {
  const result = (status: "ok" | "warn", found: string, fix: string | null = null) => [
    { id, status, found, neededFor, fix },
  ];
  if (known?.accelerator === "kvm") return result("ok", `works: ${known.reason}`);
  const access = await deviceAccess("/dev/kvm", uid);
  if (access.state === "absent") {
    return result(
      "warn",
      access.reason,
      "Turn virtualisation on in the firmware, or run on a host that has it",
    );
  }
  if (access.state === "denied") {
    return result("warn", access.reason, access.hint?.replace(/^Run: /, "") ?? null);
  }
  if (known !== null) {
    return result("warn", `not usable, software emulation instead: ${known.reason}`);
  }
  return result(
    "ok",
    "/dev/kvm opens; a trial boot at the first vm run tells whether kernels run in it",
  );
}
