import { BangerError } from "../../model/errors.ts";
import { formatIpv4, type Ipv4Range, overlaps, parseIpv4Range } from "./ipv4.ts";

/** What an installation says about its network. Checked; nothing of it is a client's. */
export interface NetworkSettings {
  /** Name of the bridge, of at most 8 characters: a tap's is that of its bridge, `-vm` and a number. */
  readonly bridge: string;
  readonly subnet: Ipv4Range;
  /** The port of the bridge's address that answers DNS; guests ask port 53. */
  readonly dnsPort: number;
  /** The VMM of place N runs as the user `firstUid + N`. */
  readonly firstUid: number;
}

/** What they are when nobody says otherwise. */
export const defaultNetwork = {
  bridge: "banger0",
  subnet: "10.83.0.0/20",
  dnsPort: 1053,
} as const;

/** VMs that have a place at once, at most; the last uid is so far from the first. */
export const mostPlaces = 1000;

/** Where banger's guests could be without meeting the Internet (RFC 1918, RFC 6598). */
const privateRanges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]
  .map((text) => parseIpv4Range(text)!);

/** What the settings are made of, as a user or an installation writes them. */
export interface NetworkWords {
  readonly bridge: string;
  readonly subnet: string;
  readonly dnsPort: number;
  readonly firstUid: number;
}

/** @throws BangerError `invalid` that names the setting and its rule */
export function networkSettings(words: NetworkWords): NetworkSettings {
  const { bridge, dnsPort, firstUid } = words;
  if (!/^[a-z][a-z0-9]{0,7}$/.test(bridge)) {
    throw wrong("bridge_name", bridge, "it is 1 to 8 letters and digits, a letter first");
  }
  const subnet = parseIpv4Range(words.subnet);
  if (subnet === undefined) {
    throw wrong("subnet", words.subnet, "it is an address and a length, like 10.83.0.0/20");
  }
  if (subnet.prefix < 16 || subnet.prefix > 29) {
    throw wrong("subnet", words.subnet, "its length is 16 to 29");
  }
  if (!privateRanges.some((range) => range.prefix <= subnet.prefix && overlaps(range, subnet))) {
    throw wrong("subnet", words.subnet, "it is a private one (RFC 1918, RFC 6598)");
  }
  if (!Number.isInteger(dnsPort) || dnsPort < 1024 || dnsPort > 65_535) {
    throw wrong("dns_port", String(dnsPort), "it is 1024 to 65535");
  }
  // Beyond what a distribution gives to people and services, and short of nobody's (systemd, UIDS-GIDS).
  if (!Number.isInteger(firstUid) || firstUid < 100_000 || firstUid > 2_000_000_000) {
    throw wrong("first_uid", String(firstUid), "it is 100000 to 2000000000");
  }
  return { bridge, subnet, dnsPort, firstUid };
}

/** How many VMs can have a place: all addresses but those of the net, the host and the broadcast. */
export function placesIn({ subnet }: NetworkSettings): number {
  return Math.min(mostPlaces, 2 ** (32 - subnet.prefix) - 3);
}

/** The host's address on the bridge. */
export function gatewayOf({ subnet }: NetworkSettings): string {
  return formatIpv4(subnet.base + 1);
}

/** The address of the VM in a place. */
export function addressOf({ subnet }: NetworkSettings, place: number): string {
  return formatIpv4(subnet.base + 2 + place);
}

/** What the names of all taps begin with, and of nothing else that is likely to be there. */
export function tapPrefixOf({ bridge }: NetworkSettings): string {
  return `${bridge}-vm`;
}

/** The tap of a place. */
export function tapOf(settings: NetworkSettings, place: number): string {
  return `${tapPrefixOf(settings)}${place}`;
}

function wrong(setting: string, value: string, rule: string): BangerError {
  return new BangerError("invalid", `Cannot use ${setting} ${JSON.stringify(value)}: ${rule}`);
}
