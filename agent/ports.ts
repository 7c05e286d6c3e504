import type { ListeningPort } from "../src/wire/messages.ts";
import { readText } from "./files.ts";

/** Most ports in one answer: a frame holds them. */
const maxPorts = 400;

/** TCP sockets in LISTEN, and UDP sockets that are bound and not connected. */
export function listeningPorts(root: string): ListeningPort[] {
  const found: (ListeningPort & { inode: string })[] = [];
  for (const [file, protocol, state] of tables) {
    const lines = (readText(`${root}/proc/net/${file}`) ?? "").split("\n").slice(1);
    for (const line of lines) {
      const fields = line.trim().split(/\s+/);
      if (fields[3] !== state || found.length >= maxPorts) continue;
      const [address, port] = fields[1]!.split(":");
      found.push({
        protocol,
        address: addressText(address!),
        port: Number.parseInt(port!, 16),
        process: null,
        inode: fields[9] ?? "",
      });
    }
  }
  const names = found.length === 0 ? new Map<string, string>() : socketOwners(root);
  return found.map(({ inode, ...port }) => ({ ...port, process: names.get(inode) ?? null }));
}

/** Tables of proc_net(5), and the state (hexadecimal) of a socket that can be reached. */
const tables = [
  ["tcp", "tcp", "0A"],
  ["tcp6", "tcp", "0A"],
  ["udp", "udp", "07"],
  ["udp6", "udp", "07"],
] as const;

/** An address of /proc/net: 32-bit words, each with its bytes reversed on little-endian machines. */
export function addressText(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? [])
    .flatMap((word) => word.match(/../g)!.reverse())
    .map((byte) => Number.parseInt(byte, 16));
  if (bytes.length === 4) return bytes.join(".");
  const groups: string[] = [];
  for (let at = 0; at < bytes.length; at += 2) {
    groups.push(((bytes[at]! << 8) | bytes[at + 1]!).toString(16));
  }
  if (groups.every((group) => group === "0")) return "::";
  return groups.join(":").replace(/(^|:)0(:0)+(:|$)/, "::");
}

/** Program name by socket inode, from the links in /proc/PID/fd. */
function socketOwners(root: string): Map<string, string> {
  const owners = new Map<string, string>();
  for (const pid of names(`${root}/proc`)) {
    if (!/^[0-9]+$/.test(pid)) continue;
    for (const fd of names(`${root}/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkText(`${root}/proc/${pid}/fd/${fd}`))?.[1];
      if (inode === undefined || owners.has(inode)) continue;
      owners.set(inode, (readText(`${root}/proc/${pid}/comm`) ?? "").trim().slice(0, 64));
    }
  }
  return owners;
}

function names(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map((entry) => entry.name);
  } catch {
    return [];
  }
}

function linkText(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return "";
  }
}
