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
 * The user `name` of the guest's /etc/passwd; root is there even without that file.
 *
 * @throws Failure `not_found`
 */
export function findUser(root: string, name: string): User {
  const line = lines(`${root}/etc/passwd`).find((fields) => fields[0] === name);
  if (line === undefined) {
    if (name !== "root") throw new Failure("not_found", `no user "${name}" in the guest`);
    return { name, uid: 0, gid: 0, groups: [], home: "/root", shell: "/bin/sh" };
  }
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

function lines(path: string): string[][] {
  return (readText(path) ?? "").split("\n").map((line) => line.split(":"));
}
