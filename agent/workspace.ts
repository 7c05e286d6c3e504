import type { WorkspacePlace } from "../src/wire/messages.ts";
import { findUser, type User } from "./users.ts";

/** Where workspaces of users are that have no home directory of their own. */
const homelessDir = "/workspace";

/** Home directories that stand for none: services and users without an entry have them. */
const noHomes = ["", "/", "/nonexistent", "/dev/null"];

/**
 * The user that an image names, as far as its own files know it: without a group that is not there, and
 * root when there is no such user. `null` is root.
 */
export function imageUser(root: string, wanted: string | null): User {
  const [name = ""] = (wanted ?? "").split(":", 1);
  for (const candidate of [wanted ?? "root", name]) {
    try {
      return findUser(root, candidate);
    } catch {
      // The next one.
    }
  }
  return findUser(root, "0");
}

/**
 * Directory of a workspace: `/root/NAME` for root, below the home directory of another owner, and below
 * `/workspace` of one without.
 */
export function workspaceDir(root: string, { name, owner }: WorkspacePlace): string {
  const user = imageUser(root, owner);
  if (user.uid === 0) return `/root/${name}`;
  const home = user.home.replace(/\/+$/, "");
  const isNone = noHomes.includes(home) || !home.startsWith("/");
  return `${isNone ? homelessDir : home}/${name}`;
}

/** Whom a workspace belongs to, as `UID:GID`. */
export function ownerText(root: string, { owner }: WorkspacePlace): string {
  const { uid, gid } = imageUser(root, owner);
  return `${uid}:${gid}`;
}
