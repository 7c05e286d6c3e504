import { BangerError } from "../model/errors.ts";
import type { Paths } from "../paths/paths.ts";
import type { LaunchSpec } from "../process/host_processes.ts";

/** Lowest uid and gid that root's VMMs may become: below are the system's own. */
const lowestDropId = 1000;

/** Decides what the Worker may have launched. */
export class LaunchPolicy {
  readonly #paths: Paths;

  constructor(paths: Paths) {
    this.#paths = paths;
  }

  /**
   * Files must really (symlinks followed) be below the daemon's own directories (devices are opened by
   * the VMM itself, with its own rights), but for one that QEMU reads and that is a root disk: the user may have
   * registered it where it is. stderr must go below the VMs' directories; root must drop its rights.
   * The net filter's sockets become its permissions, so they must be in a VM's run directory.
   *
   * @throws BangerError `precondition`
   */
  async check(spec: LaunchSpec): Promise<void> {
    this.#checkDrop(spec.dropTo);
    if (spec.program === "net_filter") this.#checkNetFilter(spec.args);
    const roots = await this.#roots();
    for (const file of spec.files) {
      const real = await realPath(file.path);
      if (roots.some((root) => isBelow(real, root))) continue;
      if (spec.program !== "qemu" || file.access !== "read") throw refusal(file.path);
      await checkRootfs(file.path);
    }
    const parent = await realPath(spec.stderrPath.replace(/\/[^/]*$/, "") || "/");
    const own = [await realPath(this.#paths.vmsDir), await realPath(this.#paths.runtimeDir)];
    const cache = await realPath(this.#paths.cacheDir);
    const isOwn = [...own, cache].some((root) => parent === root || isBelow(parent, root));
    if (!isOwn || spec.stderrPath.endsWith("/..")) throw refusal(spec.stderrPath);
  }

  /**
   * Memory files have their one name in the memory directory or a VM's directory, and belong to whom a VMM
   * may become.
   *
   * @throws BangerError `precondition`
   */
  checkMemory(path: string, owner: LaunchSpec["dropTo"]): void {
    const { memoryDir, vmsDir } = this.#paths;
    const isMemory = isBelow(path, memoryDir) &&
      /^[0-9a-f]{16}$/.test(path.slice(memoryDir.length + 1));
    const isOnDisk = isBelow(path, vmsDir) &&
      /^[0-9a-f]{16}\/memory$/.test(path.slice(vmsDir.length + 1));
    if (!isMemory && !isOnDisk) throw refusal(path);
    if (owner !== null) this.#checkDrop(owner);
  }

  #checkDrop(dropTo: LaunchSpec["dropTo"]): void {
    if (this.#paths.uid !== 0) {
      if (dropTo === null || dropTo.uid === this.#paths.uid) return;
      throw new BangerError("precondition", `Cannot become user ${dropTo.uid}: not root`);
    }
    if (dropTo !== null && dropTo.uid >= lowestDropId && dropTo.gid >= lowestDropId) return;
    throw new BangerError("precondition", "Cannot start a VMM as root: it must drop its rights");
  }

  #checkNetFilter(args: readonly string[]): void {
    const [listen = "", passt = "", mac = "", ...more] = args;
    for (const path of [listen, passt]) {
      const { runtimeDir } = this.#paths;
      const tail = isBelow(path, runtimeDir) ? path.slice(runtimeDir.length) : "";
      // A comma would separate two paths in Deno's permission flags.
      if (!/^\/[0-9a-f]{12}\/[a-z]$/.test(tail) || path.includes(",")) throw refusal(path);
    }
    if (more.length === 0 && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac)) return;
    throw new BangerError("precondition", `Cannot filter for "${mac}": not a MAC address`);
  }

  #roots(): Promise<string[]> {
    const { stateDir, cacheDir, runtimeDir, memoryDir } = this.#paths;
    return Promise.all(
      [stateDir, cacheDir, runtimeDir, memoryDir].map((dir) => Deno.realPath(dir).catch(() => dir)),
    );
  }
}

async function realPath(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch (cause) {
    throw new BangerError("precondition", `Cannot open "${path}": there is no such file`, {
      cause,
    });
  }
}

async function checkRootfs(path: string): Promise<void> {
  const { examineRootfs } = await import("../images/examine_rootfs.ts");
  try {
    await examineRootfs(path);
  } catch (cause) {
    throw refusal(path, cause);
  }
}

function isBelow(path: string, root: string): boolean {
  return path.startsWith(`${root}/`);
}

function refusal(path: string, cause?: unknown): BangerError {
  return new BangerError(
    "precondition",
    `Cannot open "${path}": it is outside of banger's directories, and no root disk`,
    { code: "LAUNCH_REFUSED", cause },
  );
}
