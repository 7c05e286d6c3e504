import type { VmPort } from "../../../api/vm.ts";
import type { VmRecord } from "../../../model/vm.ts";
import { type ListeningPort, sshPort } from "../../../wire/messages.ts";
import type { Forward } from "./running_ports.ts";

/**
 * The ports of a VM as clients see them: what listens in the guest, with the ports of the host that lead there,
 * and behind it the ports of the host that lead to nothing now.
 */
export function portsView(
  vm: VmRecord,
  listening: readonly ListeningPort[],
  forwards: readonly Forward[],
): VmPort[] {
  const ways = [
    ...forwards.map((forward) => ({ ...forward, how: forward.reason, open: true })),
    ...vm.published
      .filter(({ hostPort }) => !forwards.some((other) => other.hostPort === hostPort))
      .map((port) => ({ ...port, how: "published" as const, open: false })),
  ];
  const rows: VmPort[] = [];
  const ssh = vm.runtime?.sshPort ?? null;
  for (const { protocol, address, port, process } of listening) {
    const row = { protocol, address, port, process };
    const here = protocol === "tcp" ? ways.filter(({ guestPort }) => guestPort === port) : [];
    for (const { hostPort, how, open } of here) rows.push({ ...row, hostPort, how, open });
    if (protocol === "tcp" && port === sshPort && ssh !== null) {
      rows.push({ ...row, hostPort: ssh, how: "ssh", open: true });
    } else if (here.length === 0) rows.push({ ...row, hostPort: null, how: null, open: false });
  }
  const tcp = new Set(
    listening.filter(({ protocol }) => protocol === "tcp").map(({ port }) => port),
  );
  for (const { guestPort, hostPort, how, open } of ways) {
    if (tcp.has(guestPort)) continue;
    const nobody = { protocol: "tcp" as const, address: null, port: guestPort, process: null };
    rows.push({ ...nobody, hostPort, how, open });
  }
  return rows;
}
