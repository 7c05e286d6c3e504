import { BangerError } from "./errors.ts";

/** A TCP port of the host's loopback that leads to one of a VM's guest. */
export interface PublishedPort {
  readonly hostPort: number;
  readonly guestPort: number;
}

/** A port that is to be published; `hostPort: null`: the guest's number where it is free, else another. */
export interface WantedPort {
  readonly hostPort: number | null;
  readonly guestPort: number;
}

/** How many there may be at once. */
export const portLimits = {
  /** Published ports of a VM. */
  published: 64,
  /** Ports of a VM that `--auto-ports` forwards, and of all VMs. */
  auto: 32,
  autoInAll: 256,
  /** Connections through the ports of a VM, and of all VMs. */
  connections: 128,
  connectionsInAll: 512,
} as const;

/** The host's only address on which ports are published. */
export const publishAddress = "127.0.0.1";

/**
 * A port as it is written: `[HOST:]GUEST`, where `127.0.0.1:` may stand before and `/tcp` behind. HOST 0, or none,
 * is for banger to choose.
 *
 * @throws BangerError `invalid`
 */
export function parseWantedPort(text: string): WantedPort {
  const slash = text.indexOf("/");
  const words = slash < 0 ? text : text.slice(0, slash);
  if (slash >= 0 && text.slice(slash) !== "/tcp") {
    throw refuse(text, "only TCP ports are published", "Leave out what stands behind the slash");
  }
  // An address of IPv6 has colons of its own.
  const divided = /^(?:(\[[^\]]*\]|[^:]*):)?(?:([^:]*):)?([^:]+)$/.exec(words);
  if (divided === null) throw refuse(text, "it is not of the form [HOST:]GUEST");
  const [, first, second, guest = ""] = divided;
  const [address, host] = second === undefined ? [undefined, first] : [first, second];
  if (address !== undefined && address !== publishAddress) throw refuseAddress(text);
  if (/^\d+-\d+$/.test(guest) || /^\d+-\d+$/.test(host ?? "")) {
    throw refuse(text, "it is a range", "Give each port by itself");
  }
  // Docker's way to leave it open behind an address.
  const isOpen = host === undefined || host === "0" || (host === "" && address !== undefined);
  return {
    hostPort: isOpen ? null : portOf(text, host),
    guestPort: portOf(text, guest),
  };
}

/** As {@linkcode parseWantedPort} reads it. */
export function wantedPortText({ hostPort, guestPort }: WantedPort): string {
  return hostPort === null ? `${guestPort}` : `${hostPort}:${guestPort}`;
}

function portOf(text: string, digits: string): number {
  const port = /^[1-9]\d{0,4}$/.test(digits) ? Number(digits) : NaN;
  if (port < 65_536) return port;
  const shown = digits.length > 20 ? `${digits.slice(0, 20)}…` : digits;
  throw refuse(text, `${JSON.stringify(shown)} is no port from 1 to 65535`);
}

function refuseAddress(text: string): BangerError {
  return refuse(
    text,
    `ports are published on ${publishAddress} only, so that no other machine reaches the guest`,
    "Leave out the address; to let others in, put a proxy of yours before the port",
  );
}

function refuse(text: string, why: string, hint = "Such as 8080:80, or 80"): BangerError {
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return new BangerError("invalid", `Cannot publish port ${JSON.stringify(shown)}: ${why}`, {
    hint,
  });
}
