import { type BangerError, isBangerError } from "../model/errors.ts";
import type { Machine, MachineSpec, Vmm } from "./contract.ts";
import type { VsockCids } from "./vsock_cids.ts";

/** How many context ids are tried before the VM goes without. */
const attempts = 3;

/**
 * Launches a VM with a vsock device where the host has vsock (`cids` is not `null`). vsock only makes
 * bulk data faster, so a VM never fails for it: when the VMM is refused a context id that another
 * program has, the next one is tried; when it is refused vsock otherwise, the VM starts without.
 *
 * @throws BangerError as {@linkcode Vmm.launch}; no context id is held then
 */
export async function launchWithVsock(
  vmm: Vmm,
  spec: Omit<MachineSpec, "vsockCid">,
  cids: VsockCids | null,
  signal: AbortSignal,
): Promise<Machine> {
  let cid = cids?.take(spec.vmId) ?? null;
  for (let attempt = 1;; attempt++) {
    try {
      return await vmm.launch({ ...spec, vsockCid: cid }, signal);
    } catch (error) {
      const isLast = cid === null || !isBangerError(error, "internal") || !isAboutVsock(error);
      if (isLast || attempt > attempts) {
        cids?.release(spec.vmId);
        throw error;
      }
      cid = cids !== null && attempt < attempts && isTaken(error) ? cids.replace(spec.vmId) : null;
      if (cid === null) cids?.release(spec.vmId);
    }
  }
}

/** QEMU's words: `vhost-vsock: unable to set guest cid: …`, `failed to open vhost device: …`. */
function isAboutVsock({ detail }: BangerError): boolean {
  return /vsock|guest cid/i.test(detail ?? "");
}

function isTaken({ detail }: BangerError): boolean {
  return /guest cid.*Address (already )?in use/i.test(detail ?? "");
}
