import { findProgram } from "../process/find_program.ts";
import { run } from "../process/run.ts";
import type { CheckResult, CheckStatus } from "./check.ts";

interface Program {
  readonly id: string;
  readonly name: string;
  readonly package: string;
  readonly neededFor: string;
  /** Asks for its version; `null`: being there is enough. */
  readonly versionArgs: readonly string[] | null;
  readonly missing: Exclude<CheckStatus, "ok">;
}

const qemuName = Deno.build.arch === "aarch64" ? "qemu-system-aarch64" : "qemu-system-x86_64";
const qemuPackage = Deno.build.arch === "aarch64" ? "qemu-system-arm" : "qemu-system-x86";

/** Programs that banger starts on the host, with the Debian packages that bring them. */
const programs: readonly Program[] = [
  {
    id: "qemu",
    name: qemuName,
    package: qemuPackage,
    neededFor: "running VMs",
    versionArgs: ["--version"],
    missing: "fail",
  },
  {
    id: "qemu-img",
    name: "qemu-img",
    package: "qemu-utils",
    neededFor: "the disks of VMs",
    versionArgs: ["--version"],
    missing: "fail",
  },
  {
    id: "passt",
    name: "passt",
    package: "passt",
    neededFor: "the network of VMs",
    versionArgs: ["--version"],
    missing: "fail",
  },
  {
    id: "mmdebstrap",
    name: "mmdebstrap",
    package: "mmdebstrap",
    neededFor: "building the default image",
    versionArgs: ["--version"],
    missing: "fail",
  },
  {
    id: "e2fsprogs",
    name: "mkfs.ext4",
    package: "e2fsprogs",
    neededFor: "writing images",
    versionArgs: ["-V"],
    missing: "fail",
  },
  {
    id: "xz",
    name: "xz",
    package: "xz-utils",
    neededFor: "unpacking Debian packages",
    versionArgs: ["--version"],
    missing: "fail",
  },
  {
    id: "busybox",
    name: "busybox",
    package: "busybox-static",
    neededFor: "the first programs that a VM runs",
    versionArgs: null,
    missing: "fail",
  },
  {
    id: "patchelf",
    name: "patchelf",
    package: "patchelf",
    neededFor: "the guest kit",
    versionArgs: ["--version"],
    missing: "fail",
  },
  {
    id: "ssh",
    name: "ssh",
    package: "openssh-client",
    neededFor: "shells in VMs, and their keys",
    versionArgs: ["-V"],
    missing: "fail",
  },
  {
    id: "git",
    name: "git",
    package: "git",
    neededFor: "copying a repository; vm run --no-workspace works without",
    versionArgs: ["--version"],
    missing: "warn",
  },
  {
    id: "tar",
    name: "tar",
    package: "tar",
    neededFor: "copying a repository",
    versionArgs: ["--version"],
    missing: "warn",
  },
  {
    id: "zstd",
    name: "zstd",
    package: "zstd",
    neededFor: "kernels and packages that are compressed with it",
    versionArgs: ["--version"],
    missing: "warn",
  },
];

/** Programs in a script language take seconds on a slow machine. */
const timeoutMs = 20_000;

/** Looks for every program and asks for its version. */
export async function checkPrograms(
  qemuBin: string | null,
  signal: AbortSignal,
): Promise<readonly CheckResult[]> {
  return await Promise.all(
    programs.map((program) =>
      checkProgram(
        program.id === "qemu" && qemuBin !== null ? { ...program, name: qemuBin } : program,
        signal,
      )
    ),
  );
}

async function checkProgram(program: Program, signal: AbortSignal): Promise<CheckResult> {
  const { id, neededFor, missing } = program;
  const fix = `apt install --no-install-recommends ${program.package}`;
  const path = await findProgram(program.name);
  if (path === undefined) {
    return { id, status: missing, found: `${program.name} is not installed`, neededFor, fix };
  }
  if (program.versionArgs === null) return { id, status: "ok", found: path, neededFor, fix: null };
  try {
    const { stdout, stderr } = await run(path, program.versionArgs, { timeoutMs, signal });
    const words = (new TextDecoder().decode(stdout).trim() || stderr.trim()).split("\n")[0] ?? "";
    const found = words === "" ? path : `${path}: ${words.slice(0, 100)}`;
    return { id, status: "ok", found, neededFor, fix: null };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { id, status: missing, found: `${path} does not run: ${why}`, neededFor, fix };
  }
}
