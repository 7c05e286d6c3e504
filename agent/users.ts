import { sessionUser } from "../src/wire/messages.ts";
import { Failure } from "./failure.ts";
import { readText } from "./files.ts";

/** A user of the guest, with the groups a login would give. */
export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly home: string;
  readonly shell: string;
}

/**
 * The user of the guest's /etc/passwd that `wanted` names as an image does: `user`, `uid`, `user:group` or
 * `uid:gid`. root is there even without that file, and a uid or gid needs no line.
 *
 * @throws Failure `not_found`
 */
export function findUser(root: string, wanted: string): User {
  const [who = "", group] = wanted.split(":", 2);
  const user = userNamed(root, who);
  if (group === undefined || group === "") return user;
  // As with other runtimes, a group of its own replaces all others.
  const gid = groupNamed(root, group);
  return { ...user, gid, groups: [gid] };
}

function groupNamed(root: string, name: string): number {
  const line = lines(`${root}/etc/group`).find((fields) => fields[0] === name);
  if (line !== undefined) return Number(line[2]);
  if (isId(name)) return Number(name);
  throw new Failure("not_found", `no group "${name}" in the guest`);
}

function isId(text: string): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1;
}

function userNamed(root: string, wanted: string): User {
  // The way in of banger's own sessions is nobody's name.
  const all = lines(`${root}/etc/passwd`).filter(([name]) => name !== sessionUser);
  const line = all.find((fields) => fields[0] === wanted) ??
    (isId(wanted) ? all.find((fields) => Number(fields[2]) === Number(wanted)) : undefined);
  if (line === undefined) {
    if (wanted === "root" || wanted === "0") {
      return { name: "root", uid: 0, gid: 0, groups: [], home: "/root", shell: "/bin/sh" };
    }
    if (!isId(wanted)) throw new Failure("not_found", `no user "${wanted}" in the guest`);
    const uid = Number(wanted);
    return { name: wanted, uid, gid: 0, groups: [0], home: "/", shell: "/bin/sh" };
  }
  const name = line[0]!;
  const gid = Number(line[3]);
  const groups = lines(`${root}/etc/group`)
    .filter((fields) => fields[3]?.split(",").includes(name))
    .map((fields) => Number(fields[2]));
  return {
    name,
    uid: Number(line[2]),
    gid,
    groups: [...new Set([gid, ...groups])],
    home: line[5] || "/",
    shell: line[6] || "/bin/sh",
  };
}

/** The fields of each line that has a name. */
function lines(path: string): string[][] {
  return (readText(path) ?? "").split("\n").map((line) => line.split(":"))
    .filter((fields) => fields[0] !== "");
}
