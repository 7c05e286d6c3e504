/**
 * First of the users that root's VMs run as: above everything that useradd, containers and systemd
 * hand out (https://systemd.io/UIDS-GIDS), below 2^31, which older programs take for negative.
 */
const firstUid = 1_900_000_000;

/** How many of them there are; a power of 16. */
const uidDigits = 6;

/**
 * User and group of a VM's processes. Started by root, each VM has a user of its own, derived from
 * its id, so that nothing that breaks out of one can touch the files of another; else `null`: they
 * run as the owner. The first digits of an id will do.
 */
export function vmOwner(
  daemonUid: number,
  vm: string,
): { readonly uid: number; readonly gid: number } | null {
  if (daemonUid !== 0) return null;
  const uid = firstUid + Number.parseInt(vm.slice(0, uidDigits), 16);
  return { uid, gid: uid };
}
