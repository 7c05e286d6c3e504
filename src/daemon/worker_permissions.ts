import type { Config } from "../config/config.ts";
import type { Paths } from "../paths/paths.ts";
import { findProgram, programDirs } from "../process/find_program.ts";

/**
 * Programs that the services run to their end. VMMs and passt are not among them: the broker starts
 * those. `unshare` makes the namespaces in which an image is built.
 */
export const servicePrograms: readonly string[] = [
  "cp",
  "debugfs",
  "df",
  "gzip",
  "mkfs.ext4",
  "patchelf",
  "qemu-img",
  "ssh-keygen",
  "unshare",
  "xz",
  "zstd",
];

/** What the Worker may read besides the daemon's own directories. */
const readable: readonly string[] = [
  ...programDirs,
  "/etc/apt",
  "/etc/debian_version",
  "/etc/os-release",
  "/etc/passwd",
  "/etc/subgid",
  "/etc/subuid",
  "/usr/share/keyrings",
];

/** The Worker's permissions in the form that `new Worker` takes. */
export type WorkerPermissions = Deno.PermissionOptionsObject;

/**
 * What the Worker may do: its own directories, sockets, the programs above. The network is open,
 * since Deno can scope neither Unix sockets by directory nor mirrors behind redirects.
 */
export async function workerPermissions(
  paths: Paths,
  config: Config,
  codeDir: string,
): Promise<WorkerPermissions> {
  const found = await Promise.all(servicePrograms.map((name) => findProgram(name)));
  const own = [
    paths.stateDir,
    paths.cacheDir,
    paths.runtimeDir,
    paths.sshDir,
  ];
  const keyPaths = config.sshKeyPath === null
    ? []
    : [config.sshKeyPath, `${config.sshKeyPath}.pub`];
  // Looked at only; the broker runs it.
  const qemuPaths = config.qemuBin === null ? [] : [config.qemuBin];
  const { url, keyring } = config.catalog;
  const catalogPaths = [url, keyring].flatMap((path) =>
    path !== null && path.startsWith("/") ? [path] : []
  );
  return {
    read: [
      ...own,
      ...keyPaths,
      ...catalogPaths,
      ...qemuPaths,
      ...readable,
      codeDir,
      Deno.execPath(),
    ],
    write: own,
    run: found.filter((path) => path !== undefined),
    net: true,
    env: false,
    sys: ["statfs"],
    ffi: false,
    import: false,
  };
}
