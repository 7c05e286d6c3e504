/**
 * What every guest behind passt sees: a network of its own, the same for all, so that nothing of
 * the host's addresses shows and nothing depends on them.
 */
export const guestNetwork = {
  /** The guest's address with the length of its prefix. */
  cidr: "10.0.2.15/24",
  address: "10.0.2.15",
  prefixLength: 24,
  gateway: "10.0.2.2",
  /** Queries to this address go to the host's own resolver. */
  dns: "10.0.2.3",
  /** MAC address of the gateway. */
  gatewayMac: "52:55:0a:00:02:02",
  mtu: 65_520,
} as const;
