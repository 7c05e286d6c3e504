import { reasonOf } from "../model/errors.ts";

/** A device file as stat(2) shows it. */
export interface DeviceNode {
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  readonly gid: number;
  /** Name of the group; its number where it has none. */
  readonly groupName: string;
}

/** Whether a VMM that this user starts can use a device. */
export type DeviceAccess =
  | {
    readonly state: "openable";
    /** Supplementary group that a VMM which gave up root needs for it; `null` needs none. */
    readonly group: number | null;
  }
  | {
    readonly state: "absent" | "denied";
    /** One clause. */
    readonly reason: string;
    /** What mends it, as a sentence with a command; `null` when nothing is known. */
    readonly hint: string | null;
  };

/** What `/dev/kvm` belongs to everywhere; named where a group must be made. */
const usualGroup = "kvm";

/**
 * Whether a VMM of the user `uid` can open the device at `path`. It is really opened, which also loads
 * its driver where that is allowed. Root's VMMs run as users of their own, so for root the rights of the
 * others and of the device's group count.
 */
export async function deviceAccess(path: string, uid: number): Promise<DeviceAccess> {
  try {
    (await Deno.open(path, { read: true, write: true })).close();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return { state: "absent", reason: `there is no ${path}`, hint: null };
    }
    const isRefused = error instanceof Deno.errors.PermissionDenied ||
      error instanceof Deno.errors.NotCapable;
    if (isRefused && uid !== 0) return ordinaryRefusal(await nodeAt(path));
    return { state: "denied", reason: `${path} cannot be opened: ${reasonOf(error)}`, hint: null };
  }
  return uid === 0 ? accessAfterDrop(await nodeAt(path)) : { state: "openable", group: null };
}

/** What a VMM can do with a device that root can open, once it runs as a user of its own. */
export function accessAfterDrop(node: DeviceNode): DeviceAccess {
  if ((node.mode & 0o006) === 0o006) return { state: "openable", group: null };
  // Group 0 would give a VMM the files of root's group.
  if ((node.mode & 0o060) === 0o060 && node.gid !== 0) {
    return { state: "openable", group: node.gid };
  }
  return {
    state: "denied",
    reason: `${describe(node)}: QEMU, which root starts as a user of its own, may not open it`,
    hint: node.gid === 0
      ? `Run: groupadd --system --force ${usualGroup} && chgrp ${usualGroup} ${node.path} && ` +
        `chmod 0660 ${node.path}`
      : `Run: chmod 0660 ${node.path}`,
  };
}

/** Why an ordinary user may not open a device, and what mends it. */
export function ordinaryRefusal(node: DeviceNode): DeviceAccess {
  const isGroupOpen = (node.mode & 0o060) === 0o060 && node.gid !== 0;
  const group = node.gid === 0 ? usualGroup : node.groupName;
  const join = `sudo usermod --append --groups ${group} "$USER"`;
  return {
    state: "denied",
    reason: `${describe(node)}: this user may not open it`,
    hint: isGroupOpen
      ? `Run: ${join}, then log in again`
      : `Run: sudo sh -c 'groupadd --system --force ${group} && chgrp ${group} ${node.path} && ` +
        `chmod 0660 ${node.path}' && ${join}, then log in again`,
  };
}

function describe({ path, mode, groupName }: DeviceNode): string {
  return `${path} has mode ${(mode & 0o777).toString(8).padStart(4, "0")} and group ${groupName}`;
}

async function nodeAt(path: string): Promise<DeviceNode> {
  const { mode, gid } = await Deno.stat(path);
  const id = gid ?? 0;
  const groups = await Deno.readTextFile("/etc/group").catch(() => "");
  return { path, mode: mode ?? 0, gid: id, groupName: groupName(groups, id) };
}

/** Name of the group `gid` in the text of group(5). */
export function groupName(text: string, gid: number): string {
  const line = text.split("\n").find((entry) => entry.split(":")[2] === `${gid}`);
  return line?.split(":")[0] ?? `${gid}`;
}
