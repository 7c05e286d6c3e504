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

/** Directories of the system, which services have as their homes; what is there belongs to the image. */
const systemDir = /^\/(bin|boot|dev|etc|lib[^/]*|proc|run|sbin|sys|usr|\.banger)(\/|$)/;

/** Directory of a workspace: below {@linkcode workHome} of whom it belongs to. */
export function workspaceDir(root: string, { name, owner }: WorkspacePlace): string {
  return `${workHome(imageUser(root, owner))}/${name}`;
}

/**
 * Where a user's work is, and so what the work disk is mounted on: `/root` for root, the home directory of
 * others, and `/workspace` of those without one of their own.
 */
export function workHome(user: Pick<User, "uid" | "home">): string {
  if (user.uid === 0) return "/root";
  const home = user.home.replace(/\/+$/, "");
  const isNone = noHomes.includes(home) || !home.startsWith("/") || systemDir.test(home) ||
    home.split("/").includes("..");
  return isNone ? homelessDir : home;
}

/** Whom a workspace belongs to, as `UID:GID`. */
export function ownerText(root: string, { owner }: WorkspacePlace): string {
  const { uid, gid } = imageUser(root, owner);
  return `${uid}:${gid}`;
}
