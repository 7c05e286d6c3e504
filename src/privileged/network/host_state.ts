import * as v from "valibot";
import { BangerError } from "../../model/errors.ts";
import { formatIpv4Range, overlaps, parseIpv4Range } from "./ipv4.ts";
import type { NetworkSettings } from "./settings.ts";

/** What a device of banger's says of itself, for people (ip-link(8), `alias`). */
export const ownAlias = "banger";

/**
 * The address of every bridge of banger's, which it has from the moment in which it is made, and by which it is known.
 * Without one of its own a bridge takes the lowest of its ports.
 */
export const bridgeMac = "02:62:61:6e:67:72";

/** A network device, as far as it matters here. */
export interface Link {
  readonly name: string;
  /** `bridge`, `tun`, …; `null` for hardware. */
  readonly kind: string | null;
  readonly address: string | null;
  /** The bridge that it is a port of. */
  readonly master: string | null;
}

const linkSchema = v.object({
  ifname: v.string(),
  address: v.optional(v.string()),
  master: v.optional(v.string()),
  linkinfo: v.optional(v.object({ info_kind: v.optional(v.string()) })),
});

/** The devices that `ip -json -details link show` told. */
export function parseLinks(told: unknown): readonly Link[] {
  return v.parse(v.array(linkSchema), told).map((link) => ({
    name: link.ifname,
    kind: link.linkinfo?.info_kind ?? null,
    address: link.address ?? null,
    master: link.master ?? null,
  }));
}

const routeSchema = v.object({ dst: v.string(), dev: v.optional(v.string()) });

/**
 * Refuses addresses that lead elsewhere on this host already.
 *
 * @param told what `ip -json -4 route show table all` told
 * @throws BangerError `conflict`
 */
export function checkRoutes(settings: NetworkSettings, told: unknown): void {
  for (const { dst, dev } of v.parse(v.array(routeSchema), told)) {
    if (dst === "default" || dev === settings.bridge) continue;
    const range = parseIpv4Range(dst);
    if (range === undefined || range.prefix === 0 || !overlaps(range, settings.subnet)) continue;
    const subnet = formatIpv4Range(settings.subnet);
    const where = dev === undefined ? "elsewhere" : `to ${dev}`;
    throw new BangerError(
      "conflict",
      `Cannot use the subnet ${subnet} for VMs: this host has a route for ${dst} ${where}`,
      { hint: "Choose another one: subnet in the configuration, like 10.90.0.0/20" },
    );
  }
}

/**
 * banger's bridge among the devices, `undefined` when there is none yet.
 *
 * @throws BangerError `conflict` when something else has its name
 */
export function findBridge(
  { bridge }: NetworkSettings,
  links: readonly Link[],
): Link | undefined {
  const link = links.find(({ name }) => name === bridge);
  if (link === undefined || (link.kind === "bridge" && link.address === bridgeMac)) return link;
  throw new BangerError(
    "conflict",
    `Cannot make the bridge ${bridge}: a device of another's has that name`,
    { hint: "Choose another one: bridge_name in the configuration" },
  );
}
