import { BangerError } from "../model/errors.ts";
import type { StageReporter } from "../model/stages.ts";
import { plainEnv } from "../process/run.ts";
import { type LeashedResult, runLeashed } from "../process/run_leashed.ts";
import { BootstrapProgress, type BootstrapStep } from "./bootstrap_progress.ts";
import { buildArgv } from "./build_argv.ts";
import { buildFailure } from "./build_failure.ts";
import { buildScript } from "./build_script.ts";
import { checkSpace } from "./disk_space.ts";
import type { ImageRecipe } from "./image_recipe.ts";
import { checkNamespaces } from "./user_namespace.ts";

/** What a build needs to know. */
export interface BuildOptions {
  readonly recipe: ImageRecipe;
  /** Address of the Debian archive. */
  readonly mirror: string;
  /** Public keys that may have signed it, as a file. */
  readonly keyring: string;
  /** Effective user of this process. */
  readonly uid: number;
  /** A fresh UUID: the file system's, so that no two builds pass for the same. */
  readonly uuid: string;
  /** Fresh private directory that gets `rootfs.ext4` and `manifest`; removed by the caller (`removeStaging`). */
  readonly stagingDir: string;
  /** `http_proxy`, `https_proxy` and `no_proxy` as apt(8) reads them. */
  readonly proxyEnv: Readonly<Record<string, string>>;
  readonly reporter: StageReporter;
  readonly signal: AbortSignal;
}

/** A finished build. */
export interface BuiltImage {
  readonly rootfsPath: string;
  /**
   * `sha256:…` over the manifest and the file system's UUID. Two builds of the same packages differ
   * in their bytes, and an overlay is worth nothing over another build than its own.
   */
  readonly digest: string;
  readonly virtualBytes: number;
  /** What the file takes on disk, in bytes. */
  readonly diskBytes: number;
  /**
   * The recipe's hash, then a line `NAME VERSION ARCH` for each package, sorted: equal for builds
   * with nothing new in them. Also in the staging directory as {@linkcode manifestFile}.
   */
  readonly manifest: string;
}

/** Beside `rootfs.ext4`. */
export const manifestFile = "manifest";

/** A build takes under a minute; behind a slow line it may take this long. */
const buildLimitMs = 30 * 60_000;
/** For the progress bar, until apt tells the number of packages. */
const usualPackages = 210;

/**
 * Builds a recipe from the Debian archive into one sparse ext4 file, as root or as an ordinary user.
 * Everything runs in namespaces of its own: when this process ends or `signal` aborts, all of the
 * build's processes and mounts are gone. The archive's signature is checked by apt.
 *
 * @throws BangerError `precondition`, `exhausted` (disk full), `unavailable` (mirror), `untrusted`
 * (signature, hash), `cancelled`, `timeout`
 */
export async function buildDebianImage(options: BuildOptions): Promise<BuiltImage> {
  const { recipe, stagingDir, signal } = options;
  const script = buildScript(recipe);
  const args = buildArgv(options.uid, script, options.mirror, options.keyring, options.uuid);
  await checkSpace(`build image "${recipe.name}"`, stagingDir, recipe.neededBytes, signal);
  await checkNamespaces(recipe.name, options.uid, signal);
  const result = await inStages(options, (onLine) =>
    runLeashed("unshare", args, {
      env: { ...plainEnv, ...options.proxyEnv, DEBIAN_FRONTEND: "noninteractive" },
      cwd: stagingDir,
      timeoutMs: buildLimitMs,
      signal,
      onLine,
      maxStdoutBytes: 4 * 1024 * 1024,
    }));
  const packages = new TextDecoder().decode(result.stdout).split("\n").filter(Boolean).sort();
  const rootfsPath = `${stagingDir}/rootfs.ext4`;
  const { blocks, size } = await Deno.stat(rootfsPath);
  if (size !== recipe.virtualBytes || packages.length === 0) {
    throw new BangerError("internal", `Cannot use image "${recipe.name}": its build is incomplete`);
  }
  const manifest = `recipe ${await sha256(script)}\n${packages.join("\n")}\n`;
  await Deno.writeTextFile(`${stagingDir}/${manifestFile}`, manifest);
  return {
    rootfsPath,
    digest: `sha256:${await sha256(`${manifest}uuid ${options.uuid}\n`)}`,
    virtualBytes: size,
    diskBytes: (blocks ?? size / 512) * 512,
    manifest,
  };
}

/** Reports one run as two stages that follow each other: the tree, then the file system. */
async function inStages(
  { recipe, reporter, stagingDir }: BuildOptions,
  build: (onLine: (line: string) => void) => Promise<LeashedResult>,
): Promise<LeashedResult> {
  const progress = new BootstrapProgress(usualPackages);
  let show: ((step: BootstrapStep) => void) | undefined;
  let toWrite = () => {};
  const writing = new Promise<void>((resolve) => toWrite = resolve);
  const built = build((line) => {
    const step = progress.next(line);
    if (step?.phase === "write") toWrite();
    else if (step !== undefined) show?.(step);
  }).then((result) => {
    if (result.code === 0) return result;
    const how = result.endedBy ?? `exit code ${result.code}`;
    throw buildFailure(recipe, how, result.stderr, stagingDir);
  });
  built.catch(() => {});
  const install = `Installing ${recipe.name} from the Debian archive`;
  await reporter.stage({ id: "image.bootstrap", title: install }, async (report) => {
    show = ({ done, total, note }) => report(done, total, "items", note);
    await Promise.race([writing, built]);
  });
  return await reporter.stage({ id: "image.write", title: "Writing the file system" }, () => built);
}

async function sha256(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(hash).toHex();
}
