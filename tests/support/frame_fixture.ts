/** Frames of a guest, honest and not, and a plain reading of which may pass. */

/** The guest that the frames are from. */
export const guest = {
  mac: "02:00:00:00:00:01",
  address: "10.0.2.15",
  gatewayMac: "52:55:0a:00:02:02",
} as const;

/** What is special about a frame; the rest is an honest TCP segment to another machine. */
export interface FrameParts {
  readonly fromMac?: string;
  readonly toMac?: string;
  readonly etherType?: number;
  readonly versionAndLength?: number;
  readonly totalLength?: number;
  readonly fragment?: number;
  readonly protocol?: number;
  readonly from?: string;
  readonly to?: string;
  readonly ports?: readonly [number, number];
  /** Bytes behind the transport header. */
  readonly payload?: number;
  /** ARP instead of IPv4. */
  readonly arp?: {
    readonly hardware?: number;
    readonly operation?: number;
    readonly senderMac?: string;
    readonly sender?: string;
    readonly target?: string;
  };
}

/** The bytes of a frame. */
export function frameOf(parts: FrameParts): Uint8Array {
  const { toMac = guest.gatewayMac, fromMac = guest.mac, etherType = 0x0800 } = parts;
  const body = etherType === 0x0806 ? arpOf(parts.arp ?? {}) : ipv4Of(parts);
  return Uint8Array.from([...mac(toMac), ...mac(fromMac), ...two(etherType), ...body]);
}

function ipv4Of(parts: FrameParts): number[] {
  const { protocol = 6, ports = [40_000, 80], payload = 0 } = parts;
  const bytes = new Array<number>(Math.max(0, payload)).fill(0);
  const segments: Record<number, number[]> = {
    1: [8, 0, 0, 0, 0, 0, 0, 1],
    6: [...ports.flatMap(two), ...four(1), ...four(0), 0x50, 2, ...two(65_535), ...four(0)],
    17: [...ports.flatMap(two), ...two(8 + bytes.length), 0, 0],
  };
  const transport = [...(segments[protocol] ?? new Array<number>(20).fill(0)), ...bytes];
  if (payload < 0) transport.length += payload;
  const total = parts.totalLength ?? 20 + transport.length;
  return [
    ...[parts.versionAndLength ?? 0x45, 0, ...two(total)],
    ...[0, 0, ...two(parts.fragment ?? 0)],
    ...[64, protocol, 0, 0],
    ...address(parts.from ?? guest.address),
    ...address(parts.to ?? "93.184.216.34"),
    ...transport,
  ];
}

function arpOf(arp: NonNullable<FrameParts["arp"]>): number[] {
  return [
    ...[...two(arp.hardware ?? 1), 8, 0, 6, 4, ...two(arp.operation ?? 1)],
    ...[...mac(arp.senderMac ?? guest.mac), ...address(arp.sender ?? guest.address)],
    ...[0, 0, 0, 0, 0, 0, ...address(arp.target ?? "10.0.2.2")],
  ];
}

/**
 * Whether a frame may pass, told from its hexadecimal digits: slow, and written without a look at the
 * filter.
 */
export function oracle(frame: Uint8Array): boolean {
  const hex = Array.from(frame, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const own = "020000000001";
  const [gateway, all] = ["52550a000202", "ffffffffffff"];
  const arp = /^(.{12})(.{12})080600010800060400(01|02)(.{12})(.{8}).{12}(.{8})(..){0,18}$/.exec(
    hex,
  );
  if (arp !== null) {
    const [, to = "", from, operation, sender, claimed, target] = arp;
    if (from !== own || sender !== own || ![gateway, all].includes(to)) return false;
    return claimed === "0a00020f" ||
      (claimed === "00000000" && operation === "01" && target === "0a00020f");
  }
  const ip = /^(.{12})(.{12})080045..(.{4})....(0000|4000)..(01|06|11)....(.{8})(.{8})(.*)$/
    .exec(hex);
  if (ip === null) return false;
  const [, to, from, total = "", , protocol, source, target = "", rest = ""] = ip;
  if (parseInt(total, 16) < 20) return false;
  const behind = rest.length / 2 + 20 - parseInt(total, 16);
  if (from !== own || behind < 0 || (behind > 0 && frame.length > 60)) return false;
  const payload = rest.slice(0, rest.length - 2 * behind);
  if (protocol === "01" && payload.length < 16) return false;
  if (protocol === "11" && parseInt(payload.slice(8, 12), 16) !== payload.length / 2) return false;
  if (protocol === "11" && payload.length < 16) return false;
  if (protocol === "06") {
    const words = parseInt(payload.slice(24, 25), 16);
    if (payload.length < 40 || words < 5 || words * 8 > payload.length) return false;
  }
  if (to === all && target === "ffffffff") {
    return protocol === "11" && /^00440043/.test(payload) &&
      ["00000000", "0a00020f"].includes(source ?? "");
  }
  return to === gateway && source === "0a00020f" && !/^(00|7f|a9fe|[ef])/.test(target);
}

function mac(text: string): number[] {
  return text.split(":").map((octet) => parseInt(octet, 16));
}

function address(text: string): number[] {
  return text.split(".").map(Number);
}

function two(value: number): number[] {
  return [value >>> 8, value & 255];
}

function four(value: number): number[] {
  return [...two(value >>> 16), ...two(value & 65_535)];
}
