import type { Paths } from "../paths/paths.ts";
import { maxSocketPathBytes } from "../paths/paths.ts";
import { run } from "../process/run.ts";
import type { CheckResult } from "./check.ts";

/** An image, its kernel and kit, and room for a few disks, in bytes. */
const comfortableBytes = 8 * 1024 ** 3;
const leastBytes = 3 * 1024 ** 3;

/** The directories that banger writes to: whether it can, and how much room there is. */
export async function checkDirectories(
  paths: Paths,
  signal: AbortSignal,
): Promise<readonly CheckResult[]> {
  return [
    await writable("state-dir", paths.stateDir, "images and the disks of VMs"),
    await space(paths.stateDir, signal),
    await writable("cache-dir", paths.cacheDir, "downloads"),
    await runtime(paths),
  ];
}

async function writable(id: string, dir: string, neededFor: string): Promise<CheckResult> {
  const existing = await nearestExisting(dir);
  try {
    const probe = await Deno.makeTempFile({ dir: existing, prefix: ".banger-doctor-" });
    await Deno.remove(probe);
    return { id, status: "ok", found: `${dir} can be written`, neededFor, fix: null };
  } catch (error) {
    const why = error instanceof Error ? error.message.split(",")[0] : String(error);
    const fix = `sudo chown "$USER" ${existing}`;
    return { id, status: "fail", found: `${existing} cannot be written: ${why}`, neededFor, fix };
  }
}

async function space(dir: string, signal: AbortSignal): Promise<CheckResult> {
  const id = "disk-space";
  const neededFor = "images and the disks of VMs";
  const existing = await nearestExisting(dir);
  try {
    const args = ["--block-size=1", "--output=avail", "--", existing];
    const { stdout } = await run("df", args, { timeoutMs: 5_000, signal });
    const bytes = Number(new TextDecoder().decode(stdout).trim().split("\n").at(-1));
    const found = `${(bytes / 1024 ** 3).toFixed(1)} GiB free at ${existing}`;
    const status = bytes < leastBytes ? "fail" : bytes < comfortableBytes ? "warn" : "ok";
    const fix = status === "ok" ? null : "Make room, or point XDG_STATE_HOME to a larger disk";
    return { id, status, found, neededFor, fix };
  } catch {
    return { id, status: "warn", found: "the free space cannot be told", neededFor, fix: null };
  }
}

async function runtime(paths: Paths): Promise<CheckResult> {
  const id = "runtime-dir";
  const neededFor = "the sockets of daemon and VMs";
  let longest: string;
  try {
    longest = paths.vm("0".repeat(16)).networkSocket;
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return {
      id,
      status: "fail",
      found,
      neededFor,
      fix: "Set XDG_RUNTIME_DIR to a shorter directory",
    };
  }
  const access = await writable(id, paths.runtimeDir, neededFor);
  if (access.status !== "ok") return access;
  const length = new TextEncoder().encode(longest).length;
  const found =
    `${paths.runtimeDir}, socket paths of ${length} bytes (at most ${maxSocketPathBytes})`;
  return { ...access, found };
}

async function nearestExisting(dir: string): Promise<string> {
  for (let at = dir;; at = at.slice(0, at.lastIndexOf("/")) || "/") {
    try {
      await Deno.stat(at);
      return at;
    } catch (error) {
      if (at === "/" || error instanceof Deno.errors.PermissionDenied) return at;
    }
  }
}
