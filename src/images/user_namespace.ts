import { BangerError, isBangerError, reasonOf } from "../model/errors.ts";
import { run } from "../process/run.ts";
import { namespaceFlags } from "./build_argv.ts";

/**
 * Checks that the namespaces of a build can be made, by making them: as root mount and pid
 * namespaces, as an ordinary user a user namespace with subordinate ids too.
 *
 * @throws BangerError `precondition` with the command that mends it
 */
export async function checkNamespaces(
  image: string,
  uid: number,
  signal: AbortSignal,
): Promise<void> {
  // /proc is mounted in the build; the id of a package's user proves that a range is mapped.
  const trial = "mount -t tmpfs none /mnt && exec chown 100 /mnt";
  try {
    await run("unshare", [...namespaceFlags(uid), "--", "/bin/sh", "-c", trial], {
      signal,
      timeoutMs: 20_000,
    });
  } catch (error) {
    if (!isBangerError(error, "internal")) throw error;
    const [problem, hint] = namespaceProblem(uid, `${reasonOf(error)}\n${error.detail ?? ""}`);
    throw new BangerError("precondition", `Cannot build image "${image}": ${problem}`, {
      hint,
      detail: error.detail ?? reasonOf(error),
      code: "NAMESPACE_UNAVAILABLE",
      cause: error,
    });
  }
}

/** What is wrong and what mends it, from what unshare(1) printed. */
export function namespaceProblem(uid: number, output: string): readonly [string, string] {
  if (uid === 0) {
    return [
      "mount namespaces cannot be made here, root lacks CAP_SYS_ADMIN",
      "Run banger as an ordinary user, or give the container the right to mount (--privileged)",
    ];
  }
  if (
    /newuidmap|newgidmap/.test(output) && /No such file|not found|failed to execute/i.test(output)
  ) {
    return ["newuidmap is not installed", "sudo apt-get install --no-install-recommends uidmap"];
  }
  if (/no line matching user|subuid|subgid|newuidmap|newgidmap|chown/.test(output)) {
    return [
      "your user has no subordinate user and group ids",
      "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER" +
      " (choose a range that /etc/subuid does not hold yet)",
    ];
  }
  return [
    "this system does not let ordinary users make namespaces",
    "sudo sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0" +
    " (either may be unknown to your kernel)",
  ];
}
