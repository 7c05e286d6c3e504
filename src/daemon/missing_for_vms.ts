import { findProgram } from "../process/find_program.ts";
import type { Missing } from "../services/vm/contract.ts";

/** Programs without which no VM starts, and the Debian package of each. */
const needed = [
  { program: "qemu-img", package: "qemu-utils" },
  { program: "passt", package: "passt" },
  { program: "ssh-keygen", package: "openssh-client" },
] as const;

/**
 * Everything that is missing on this host for starting a VM, at once.
 *
 * @param qemuBin `qemu_bin` of the configuration
 */
export async function missingForVms(qemuBin: string | null): Promise<readonly Missing[]> {
  const all = [{
    program: qemuBin ?? `qemu-system-${Deno.build.arch}`,
    package: Deno.build.arch === "aarch64" ? "qemu-system-arm" : "qemu-system-x86",
  }, ...needed];
  const found = await Promise.all(all.map(({ program }) => findProgram(program)));
  const missing = all.filter((_one, index) => found[index] === undefined);
  return missing.map((one) => ({
    what: `${one.program} is not installed`,
    hint: `sudo apt-get install --no-install-recommends ${one.package}`,
  }));
}
