import type { Paths } from "../paths/paths.ts";
import type { CheckResult, HostReport } from "./check.ts";
import { checkDirectories } from "./check_directories.ts";
import { checkKvm, type KnownAcceleration } from "./check_kvm.ts";
import { checkPrograms } from "./check_programs.ts";
import { checkUserNamespaces } from "./check_user_namespaces.ts";
import { checkArchive } from "./check_archive.ts";

/** What the caller knows and the checks need. */
export interface HostFacts {
  readonly paths: Paths;
  readonly userName: string;
  /** Absolute path of QEMU from the configuration; `null` looks in the usual directories. */
  readonly qemuBin: string | null;
  /** Mirror from the configuration. */
  readonly debianMirror: string | null;
  /** Checks that only the caller can make: build, configuration, daemon. */
  readonly ownChecks: readonly CheckResult[];
  /** Result of the trial boot, from the daemon; `null` when it is not known. */
  readonly acceleration: KnownAcceleration | null;
  readonly signal: AbortSignal;
}

/** Examines the host. Never throws for what it finds. */
export async function examineHost(facts: HostFacts): Promise<HostReport> {
  const groups = await Promise.all([
    facts.ownChecks,
    checkPrograms(facts.qemuBin, facts.signal),
    checkUserNamespaces(facts.paths.uid, facts.userName),
    checkKvm(facts.acceleration, facts.paths.uid),
    checkDirectories(facts.paths, facts.signal),
    checkArchive(facts.debianMirror),
  ]);
  const checks = groups.flat();
  const ready = checks.every((check) => check.status !== "fail");
  return { checks, ready, modes: { rootless: ready, system: false } };
}
