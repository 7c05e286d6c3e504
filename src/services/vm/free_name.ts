import { nameProblem } from "../../model/names.ts";

/**
 * A free VM name made from the workspace's directory name (`My Repo` → `my-repo`), with the lowest
 * suffix from 2 on when it is taken; `vm` without a usable one.
 */
export function freeName(workspace: string | null, taken: ReadonlySet<string>): string {
  const stem = (workspace ?? "").toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, 50).replaceAll(/^-+|-+$/g, "");
  const base = nameProblem("VM", stem) === undefined ? stem : "vm";
  if (!taken.has(base)) return base;
  // One more candidate than there are taken names: one of them is free.
  for (let n = 2; n <= taken.size + 2; n++) {
    if (!taken.has(`${base}-${n}`)) return `${base}-${n}`;
  }
  throw new Error("no free name among more candidates than taken names");
}
