/** A range of IPv4 addresses: `base` is the lowest, its host bits are zero. */
export interface Ipv4Range {
  readonly base: number;
  /** 0 to 32. */
  readonly prefix: number;
}

/** The number of a dotted address, `undefined` when it is none (no octal, no leading zeros, four parts). */
export function parseIpv4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256 + Number(part);
  }
  return value;
}

/** A dotted address. */
export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** The range that `10.1.2.0/24` or one address means, `undefined` when it is none or has host bits. */
export function parseIpv4Range(text: string): Ipv4Range | undefined {
  const [address = "", length, ...more] = text.split("/");
  const base = parseIpv4(address);
  if (base === undefined || more.length > 0) return undefined;
  if (length !== undefined && !/^(0|[1-9]\d?)$/.test(length)) return undefined;
  const prefix = length === undefined ? 32 : Number(length);
  if (prefix > 32 || base % 2 ** (32 - prefix) !== 0) return undefined;
  return { base, prefix };
}

/** `10.1.2.0/24` */
export function formatIpv4Range({ base, prefix }: Ipv4Range): string {
  return `${formatIpv4(base)}/${prefix}`;
}

/** Whether an address is in both. */
export function overlaps(a: Ipv4Range, b: Ipv4Range): boolean {
  const size = 2 ** (32 - Math.min(a.prefix, b.prefix));
  return Math.floor(a.base / size) === Math.floor(b.base / size);
}
