/**
 * banger's own packet filter: one table that sees the frames on the bridge, and one that sees the host's packets.
 * Both are replaced as a whole, in one transaction (nft(8)); each VM is some elements of sets.
 */
import type { TapLease } from "../contract.ts";
import { bridgeMac } from "./host_state.ts";
import { formatIpv4Range } from "./ipv4.ts";
import { gatewayOf, type NetworkSettings, tapPrefixOf } from "./settings.ts";

/** The name of both tables. */
export const tableName = "banger";

/** The families that have a table of it. */
export const tableFamilies = ["bridge", "inet"] as const;

/** Special-purpose addresses that are not the Internet (RFC 6890 and its registry, RFC 5771). */
const notInternet = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
];

/** A lease with its address alone. */
interface Member {
  readonly lease: TapLease;
  readonly address: string;
}

/**
 * The script for `nft -f` that puts the rules for these leases in the place of all that were there.
 *
 * On the bridge: a frame goes on when its tap, its sender's MAC and its sender's address are those of one lease;
 * IPv6, VLANs and everything else that is not ARP or IPv4 ends here. Taps hear each other only as peers. On the
 * host: a guest reaches DNS at the gateway and nothing else of the host, no guest by way of the gateway, and beyond it
 * what its reach says.
 */
export function ruleScript(settings: NetworkSettings, leases: readonly TapLease[]): string {
  const members = leases.map((lease) => ({ lease, address: lease.cidr.split("/", 1)[0]! }));
  const { bridge, dnsPort } = settings;
  const taps = `${tapPrefixOf(settings)}*`;
  const [gateway, subnet] = [gatewayOf(settings), formatIpv4Range(settings.subnet)];
  const reachIs = (reach: string) => members.filter(({ lease }) => lease.policy.reach === reach);
  const lines = [
    ...tableFamilies.flatMap((family) => [
      `table ${family} ${tableName} { }`,
      `delete table ${family} ${tableName}`,
    ]),
    `table bridge ${tableName} {`,
    ...set("pins", "ifname . ether_addr . ipv4_addr", members.map(pinOf)),
    ...set("peers", "ifname", members.filter(({ lease }) => lease.policy.peers).map(tapWord)),
    "  chain prerouting {",
    "    type filter hook prerouting priority filter; policy accept;",
    `    iifname != "${taps}" accept`,
    "    ether type ip iifname . ether saddr . ip saddr @pins accept",
    "    ether type arp iifname . ether saddr . arp saddr ip @pins " +
    "iifname . arp saddr ether . arp saddr ip @pins accept",
    "    drop",
    "  }",
    "  chain forward {",
    "    type filter hook forward priority filter; policy accept;",
    "    iifname @peers oifname @peers accept",
    // By name and not by lease: a tap whose lease has just ended is filtered until it is gone.
    `    iifname "${taps}" oifname "${taps}" drop`,
    "  }",
    "  chain output {",
    "    type filter hook output priority filter; policy accept;",
    // The bridge tells all of its ports about IPv6 groups.
    `    oifname "${taps}" ether type != { ip, arp } drop`,
    "  }",
    "}",
    `table inet ${tableName} {`,
    ...set("nowhere", "ipv4_addr", reachIs("none").map(({ address }) => address)),
    ...set("everywhere", "ipv4_addr", reachIs("everywhere").map(({ address }) => address)),
    "  chain input {",
    "    type filter hook input priority filter; policy accept;",
    `    iifname != "${bridge}" accept`,
    "    ct state established,related accept",
    `    ip daddr ${gateway} meta l4proto { tcp, udp } th dport ${dnsPort} ` +
    "ct original proto-dst 53 accept",
    "    drop",
    "  }",
    "  chain forward {",
    "    type filter hook forward priority filter; policy accept;",
    `    iifname "${bridge}" goto from_guest`,
    `    oifname "${bridge}" goto to_guest`,
    "  }",
    "  chain from_guest {",
    // Where br_netfilter is on, frames between peers come by here as well: they have passed the other table. What is
    // for the bridge itself wants to be routed back to it.
    `    oifname "${bridge}" ether daddr != ${bridgeMac} accept`,
    `    oifname "${bridge}" drop`,
    `    ip saddr != ${subnet} drop`,
    "    meta nfproto ipv6 drop",
    "    ip saddr @nowhere reject with icmp type admin-prohibited",
    "    ct state established,related accept",
    "    ip saddr @everywhere accept",
    `    ip daddr { ${notInternet.join(", ")} } reject with icmp type admin-prohibited`,
    "    accept",
    "  }",
    "  chain to_guest {",
    "    ip daddr @nowhere drop",
    "    ct state established,related accept",
    "    drop",
    "  }",
    "  chain dns {",
    "    type nat hook prerouting priority dstnat; policy accept;",
    `    iifname "${bridge}" ip daddr ${gateway} meta l4proto { tcp, udp } th dport 53 ` +
    `redirect to :${dnsPort}`,
    "  }",
    "  chain nat {",
    "    type nat hook postrouting priority srcnat; policy accept;",
    `    ip saddr ${subnet} oifname != "${bridge}" masquerade`,
    "  }",
    "}",
  ];
  return `${lines.join("\n")}\n`;
}

function set(name: string, type: string, elements: readonly string[]): string[] {
  const own = elements.length === 0 ? [] : [`    elements = { ${elements.join(", ")} }`];
  return [`  set ${name} {`, `    type ${type}`, ...own, "  }"];
}

function pinOf({ lease: { tap, mac }, address }: Member): string {
  return `"${tap}" . ${mac} . ${address}`;
}

function tapWord({ lease }: Member): string {
  return `"${lease.tap}"`;
}
