import type { MachineSpec } from "../contract.ts";

/**
 * The kernel command line that every guest of this driver gets
 * (Documentation/admin-guide/kernel-parameters.txt). `root=` is missing on purpose: the initrd or
 * the kit finds the disks by serial. The kernel finds its virtio-mmio devices through ACPI: Debian's
 * takes none from the command line.
 */
const always: readonly string[] = [
  "console=ttyS0",
  // A panic ends the VM: reboot at once, by triple fault, and QEMU runs with -no-reboot.
  "panic=-1",
  "reboot=t",
  // The machine has no keyboard controller; looking for one takes longer than anything else.
  "i8042.noaux",
  "i8042.nokbd",
  "i8042.nomux",
  "i8042.nopnp",
  // RDRAND and virtio-rng seed the generator, so nothing waits for entropy.
  "random.trust_cpu=on",
  // Tests of the kernel's own ciphers: 0.3 s of emulation.
  "cryptomgr.notests",
];

/**
 * The kernel command line of `spec`: the driver's own words, then the specification's.
 *
 * Under emulation the guest's time stamp counter is the host's, but the machine has no timer to measure
 * it by: a kernel whose processor is held up at the wrong moment measures wrong and hangs in
 * `calibrate_delay`. So the rate is told where the host knows it. Where it does not, the console stays
 * talkative: its output is slow enough that the measurement has not been seen to fail.
 */
export function kernelCommandLine(
  spec: Pick<MachineSpec, "accelerator" | "hostTscKhz" | "commandLine">,
): string {
  return [...always, ...clockArguments(spec), ...spec.commandLine].join(" ");
}

function clockArguments(spec: Pick<MachineSpec, "accelerator" | "hostTscKhz">): string[] {
  if (spec.accelerator === "kvm") return ["quiet"];
  const khz = spec.hostTscKhz ?? null;
  return khz === null ? [] : ["quiet", "tsc=reliable", `tsc_early_khz=${khz}`];
}
