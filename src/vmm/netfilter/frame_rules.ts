import type { MacAddress } from "../../net/mac_address.ts";

/** What a frame of the guest may carry as its own. */
export interface GuestIdentity {
  readonly mac: MacAddress;
  /** Dotted IPv4 address of the guest. */
  readonly address: string;
  /** MAC address of passt's end. */
  readonly gatewayMac: MacAddress;
}

/** Why a frame of the guest is dropped; a closed list, so that each can be told once. */
export type DropReason =
  | "too short"
  | "foreign source MAC"
  | "neither ARP nor IPv4"
  | "foreign destination MAC"
  | "malformed ARP"
  | "ARP for a foreign address"
  | "malformed IPv4 header"
  | "IPv4 fragment"
  | "foreign IPv4 source"
  | "neither TCP, UDP nor ICMP"
  | "malformed transport header"
  | "broadcast other than DHCP"
  | "forbidden destination";

const etherBytes = 14;
const ipv4Bytes = 20;
const arpBytes = 28;
/** Frames up to this length may be padded (IEEE 802.3, without the checksum). */
const paddedBytes = 60;

const arpType = 0x0806;
const ipv4Type = 0x0800;
const protocols = { icmp: 1, tcp: 6, udp: 17 } as const;
const dhcpPorts = { client: 68, server: 67 } as const;
const broadcastAddress = 0xffff_ffff;

/**
 * Decides which frames of a guest may reach passt: an allow list, everything else is dropped.
 *
 * - Ethernet II from the guest's MAC to the gateway's; to all only ARP and DHCP. No VLAN, no IPv6.
 * - ARP for IPv4 (RFC 826) that claims nothing but the guest's own address.
 * - IPv4 (RFC 791) without options and fragments, from the guest's own address, with TCP, UDP or
 *   ICMP whose headers are whole; to no address of 0/8, 127/8 (the host's own loopback), 169.254/16
 *   (metadata services), 224/4 (multicast, which the host would loop back to itself) or 240/4.
 * - DHCP requests (RFC 2131), which start without an address.
 *
 * passt opens a socket to the destination that it finds in the frame. So what counts is that both read
 * the same: one header layout only, and no bytes that belong to nobody.
 */
export class FrameRules {
  readonly #mac: readonly [number, number];
  readonly #gatewayMac: readonly [number, number];
  readonly #address: number;

  constructor(guest: GuestIdentity) {
    this.#mac = macNumbers(guest.mac);
    this.#gatewayMac = macNumbers(guest.gatewayMac);
    this.#address = addressNumber(guest.address);
  }

  /** Why the frame of `length` bytes at `at` must not pass; `undefined` when it may. */
  whyDropped(view: DataView, at: number, length: number): DropReason | undefined {
    if (length < etherBytes) return "too short";
    if (!isMac(view, at + 6, this.#mac)) return "foreign source MAC";
    const type = view.getUint16(at + 12);
    if (type !== ipv4Type && type !== arpType) return "neither ARP nor IPv4";
    const toAll = isMac(view, at, broadcastMac);
    if (!toAll && !isMac(view, at, this.#gatewayMac)) return "foreign destination MAC";
    return type === arpType
      ? this.#whyArpDropped(view, at + etherBytes, length)
      : this.#whyIpv4Dropped(view, at + etherBytes, length, toAll);
  }

  #whyArpDropped(view: DataView, arp: number, frameBytes: number): DropReason | undefined {
    if (frameBytes < etherBytes + arpBytes || frameBytes > paddedBytes) return "malformed ARP";
    // Ethernet, IPv4, addresses of six and four bytes; a request or a reply.
    if (view.getUint32(arp) !== 0x0001_0800 || view.getUint16(arp + 4) !== 0x0604) {
      return "malformed ARP";
    }
    const operation = view.getUint16(arp + 6);
    if (operation !== 1 && operation !== 2) return "malformed ARP";
    if (!isMac(view, arp + 8, this.#mac)) return "foreign source MAC";
    const sender = view.getUint32(arp + 14);
    // Without a sender it is a probe whether its own address is taken (RFC 5227).
    const isOwn = sender === this.#address ||
      (sender === 0 && operation === 1 && view.getUint32(arp + 24) === this.#address);
    return isOwn ? undefined : "ARP for a foreign address";
  }

  #whyIpv4Dropped(
    view: DataView,
    ip: number,
    frameBytes: number,
    toAll: boolean,
  ): DropReason | undefined {
    const space = frameBytes - etherBytes;
    if (space < ipv4Bytes || view.getUint8(ip) !== 0x45) return "malformed IPv4 header";
    const total = view.getUint16(ip + 2);
    if (total < ipv4Bytes || total > space) return "malformed IPv4 header";
    if (total < space && frameBytes > paddedBytes) return "malformed IPv4 header";
    if ((view.getUint16(ip + 6) & ~0x4000) !== 0) return "IPv4 fragment";
    const protocol = view.getUint8(ip + 9);
    const transport = ip + ipv4Bytes;
    const bad = whyTransportDropped(view, transport, total - ipv4Bytes, protocol);
    if (bad !== undefined) return bad;
    const source = view.getUint32(ip + 12);
    const destination = view.getUint32(ip + 16);
    if (toAll || destination === broadcastAddress) {
      const isDhcp = toAll && destination === broadcastAddress && protocol === protocols.udp &&
        view.getUint16(transport) === dhcpPorts.client &&
        view.getUint16(transport + 2) === dhcpPorts.server;
      if (!isDhcp) return "broadcast other than DHCP";
      return source === 0 || source === this.#address ? undefined : "foreign IPv4 source";
    }
    if (source !== this.#address) return "foreign IPv4 source";
    return isForbidden(destination) ? "forbidden destination" : undefined;
  }
}

const broadcastMac: readonly [number, number] = [0xffff_ffff, 0xffff];

function whyTransportDropped(
  view: DataView,
  at: number,
  length: number,
  protocol: number,
): DropReason | undefined {
  switch (protocol) {
    case protocols.tcp: {
      if (length < 20) return "malformed transport header";
      const headerBytes = (view.getUint8(at + 12) >>> 4) * 4;
      return headerBytes < 20 || headerBytes > length ? "malformed transport header" : undefined;
    }
    case protocols.udp:
      return length < 8 || view.getUint16(at + 4) !== length
        ? "malformed transport header"
        : undefined;
    case protocols.icmp:
      return length < 8 ? "malformed transport header" : undefined;
    default:
      return "neither TCP, UDP nor ICMP";
  }
}

function isForbidden(destination: number): boolean {
  const first = destination >>> 24;
  return first === 0 || first === 127 || first >= 224 || destination >>> 16 === 0xa9fe;
}

function isMac(view: DataView, at: number, [high, low]: readonly [number, number]): boolean {
  return view.getUint32(at) === high && view.getUint16(at + 4) === low;
}

function macNumbers(mac: MacAddress): readonly [number, number] {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac)) throw new TypeError(`Not a MAC: "${mac}"`);
  const digits = mac.replaceAll(":", "");
  return [parseInt(digits.slice(0, 8), 16), parseInt(digits.slice(8), 16)];
}

function addressNumber(address: string): number {
  return address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
}
