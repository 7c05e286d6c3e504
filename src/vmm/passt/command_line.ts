import { guestNetwork } from "./guest_network.ts";

/** A TCP port of the host's loopback that leads to one of the guest. */
export interface PortForward {
  readonly hostPort: number;
  readonly guestPort: number;
}

/**
 * passt's command line (passt(1)). Pure.
 *
 * - `--no-map-gw`: the gateway's address does not lead to the host's loopback.
 * - `--one-off`: it ends when QEMU hangs up.
 * - `--interface lo`: passt insists on an interface to copy addresses from; all of them are given here,
 *   so the one that every host has will do, and a host without a network can still run VMs. What the
 *   guest sends goes out by the host's routes all the same.
 */
export function passtCommandLine(
  socketPath: string,
  forwards: readonly PortForward[],
): readonly string[] {
  return [
    ...["--foreground", "--quiet", "--one-off"],
    ...["--socket", socketPath],
    ...["--no-map-gw", "--ipv4-only"],
    ...["--interface", "lo"],
    ...["--address", guestNetwork.address],
    ...["--netmask", `${guestNetwork.prefixLength}`],
    ...["--gateway", guestNetwork.gateway],
    ...["--mac-addr", guestNetwork.gatewayMac],
    ...["--mtu", `${guestNetwork.mtu}`],
    ...["--dns-forward", guestNetwork.dns],
    ...forwards.flatMap(({ hostPort, guestPort }) => [
      "--tcp-ports",
      `127.0.0.1/${hostPort}:${guestPort}`,
    ]),
    ...(forwards.length === 0 ? ["--tcp-ports", "none"] : []),
    ...["--udp-ports", "none"],
  ];
}
