import type { CheckResult } from "./check.ts";

const neededFor = "building the default image as an ordinary user";

/** User namespaces and subordinate ids (subuid(5)), which mmdebstrap needs when it is not root. */
export async function checkUserNamespaces(
  uid: number,
  userName: string,
): Promise<readonly CheckResult[]> {
  if (uid === 0) {
    const found = "not needed: running as root";
    return [{ id: "user-namespaces", status: "ok", found, neededFor, fix: null }];
  }
  return [await checkAllowed(), await checkTool(), await checkRange(uid, userName)];
}

async function checkAllowed(): Promise<CheckResult> {
  const id = "user-namespaces";
  const knobs = [
    ["kernel.unprivileged_userns_clone", "/proc/sys/kernel/unprivileged_userns_clone", "0", "1"],
    [
      "kernel.apparmor_restrict_unprivileged_userns",
      "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
      "1",
      "0",
    ],
    ["user.max_user_namespaces", "/proc/sys/user/max_user_namespaces", "0", "15000"],
  ] as const;
  for (const [name, path, forbidding, allowing] of knobs) {
    const value = (await textOf(path))?.trim();
    if (value !== forbidding) continue;
    const fix = `sudo sysctl -w ${name}=${allowing}`;
    return { id, status: "fail", found: `forbidden: ${name} is ${value}`, neededFor, fix };
  }
  return { id, status: "ok", found: "allowed", neededFor, fix: null };
}

async function checkTool(): Promise<CheckResult> {
  const found = await Deno.stat("/usr/bin/newuidmap").then(() => true, () => false);
  return {
    id: "uidmap",
    status: found ? "ok" : "fail",
    found: found ? "/usr/bin/newuidmap" : "newuidmap is not installed",
    neededFor,
    fix: found ? null : "apt install --no-install-recommends uidmap",
  };
}

async function checkRange(uid: number, userName: string): Promise<CheckResult> {
  const id = "subuid";
  for (const path of ["/etc/subuid", "/etc/subgid"]) {
    const range = subordinateIds(await textOf(path) ?? "", uid, userName);
    if (range >= 65536) continue;
    return {
      id,
      status: "fail",
      found: `${path} gives ${userName} ${range === 0 ? "no" : `only ${range}`} subordinate ids`,
      neededFor,
      fix: `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${userName}`,
    };
  }
  return { id, status: "ok", found: "65536 or more subordinate ids", neededFor, fix: null };
}

/** How many ids the largest range of a user has, by name or number (subuid(5)). */
export function subordinateIds(text: string, uid: number, userName: string): number {
  let most = 0;
  for (const line of text.split("\n")) {
    const [owner, , count] = line.split(":");
    if (owner !== userName && owner !== String(uid)) continue;
    if (/^\d{1,10}$/.test(count ?? "")) most = Math.max(most, Number(count));
  }
  return most;
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch {
    return undefined;
  }
}
