/**
 * Debian's package archive: finds the host's mirror, verifies the chain from the signed
 * `InRelease` down to each package, and reads packages without installing them.
 *
 * Owns: apt's source files, OpenPGP verification of releases, package indexes, verified downloads,
 * the `.deb` container. Must not know what packages are used for.
 */
import { BangerError, isBangerError } from "../model/errors.ts";
import { streamProgram } from "../process/stream_program.ts";
import type { ExpectedContent } from "./download.ts";
import { downloadBytes, downloadFile, verifiedOnDisk } from "./download_to.ts";
import { checkMirrorUrl } from "./find_mirror.ts";
import { type Release, verifyInRelease } from "./in_release.ts";
import { newestPackage, type PackageRecord, packagesIn } from "./package_index.ts";

/** Debian's names of the processors that banger runs on. */
export type DebianArch = "amd64" | "arm64";

/** Which archive, and how far to trust and wait. */
export interface DebianArchiveOptions {
  /** Base URL, such as `http://mirror.test/debian`. */
  readonly mirror: string;
  /** Suite or code name, such as `bookworm`. */
  readonly suite: string;
  readonly arch: DebianArch;
  /** Path of the keyring whose keys may sign the release. */
  readonly keyringPath: string;
  readonly nowMs: number;
  readonly signal?: AbortSignal;
  /** See {@linkcode DownloadOptions}. */
  readonly retryDelaysMs?: readonly number[];
  readonly stallTimeoutMs?: number;
}

/** How a package is fetched. */
export interface FetchOptions {
  readonly onProgress?: (bytes: number, totalBytes: number | null) => void;
  readonly signal?: AbortSignal;
}

const maxInReleaseBytes = 4 * 1024 * 1024;
const maxIndexBytes = 64 * 1024 * 1024;
const maxPackageBytes = 512 * 1024 * 1024;
const maxUnpackedIndexBytes = 512 * 1024 * 1024;

/** Debian's name of the processor that Deno calls `arch` (`Deno.build.arch`). */
export function debianArch(arch: "x86_64" | "aarch64"): DebianArch {
  return arch === "x86_64" ? "amd64" : "arm64";
}

/** One suite's `main` component for one processor, opened and verified. */
export class DebianArchive {
  readonly release: Release;
  readonly #options: DebianArchiveOptions;
  readonly #base: string;
  #index: Uint8Array | undefined;

  private constructor(release: Release, base: string, options: DebianArchiveOptions) {
    this.release = release;
    this.#base = base;
    this.#options = options;
  }

  /**
   * Fetches and verifies the suite's `InRelease`.
   *
   * @throws BangerError `precondition` without a keyring, `unavailable`, `untrusted`, `cancelled`
   */
  static async open(options: DebianArchiveOptions): Promise<DebianArchive> {
    const base = checkMirrorUrl(options.mirror);
    const keyring = await readKeyring(options.keyringPath);
    const bytes = await downloadBytes({
      ...bounds(options),
      url: `${base}/dists/${encodeURIComponent(options.suite)}/InRelease`,
      maxBytes: maxInReleaseBytes,
    });
    const release = await verifyInRelease(new TextDecoder().decode(bytes), {
      suite: options.suite,
      keyring,
      nowMs: options.nowMs,
    });
    return new DebianArchive(release, base, options);
  }

  /**
   * Every package whose name `wanted` accepts, from the verified index.
   *
   * @throws BangerError `unavailable`, `untrusted`, `precondition` without xz, `cancelled`
   */
  async packages(wanted: (name: string) => boolean): Promise<PackageRecord[]> {
    const found: PackageRecord[] = [];
    this.#index ??= await this.#fetchIndex();
    const plain = streamProgram("xz", ["-dc"], once(this.#index), {
      maxStdoutBytes: maxUnpackedIndexBytes,
      ...(this.#options.signal === undefined ? {} : { signal: this.#options.signal }),
    });
    for await (const record of packagesIn(plain, wanted)) found.push(record);
    return found;
  }

  /**
   * The newest version of the package `name`.
   *
   * @throws BangerError as {@linkcode packages}, `not_found` when there is none
   */
  async newest(name: string): Promise<PackageRecord> {
    const record = newestPackage(await this.packages((each) => each === name));
    if (record !== undefined) return record;
    throw new BangerError(
      "not_found",
      `Cannot find package "${name}": ${this.#options.suite} has none`,
    );
  }

  /**
   * Makes sure that `directory` holds the verified package and answers its path. What is there
   * already is used after its hash was checked again, so a cache directory may be passed.
   *
   * @throws BangerError `unavailable`, `untrusted`, `exhausted`, `cancelled`
   */
  async fetch(
    record: PackageRecord,
    directory: string,
    options: FetchOptions = {},
  ): Promise<string> {
    if (record.bytes > maxPackageBytes) {
      throw new BangerError("untrusted", `Cannot use package "${record.name}": it is too large`);
    }
    const path = `${directory}/${record.sha256}.deb`;
    if (await verifiedOnDisk(path, record)) {
      options.onProgress?.(record.bytes, record.bytes);
      return path;
    }
    await downloadFile(path, {
      ...bounds(this.#options),
      url: `${this.#base}/${record.filename}`,
      expected: contentOf(record),
      ...options,
    });
    return path;
  }

  async #fetchIndex(): Promise<Uint8Array> {
    const directory = `main/binary-${this.#options.arch}`;
    const expected = this.release.files.get(`${directory}/Packages.xz`);
    if (expected === undefined || expected.bytes > maxIndexBytes) {
      const why = expected === undefined ? "the release does not list it" : "it is too large";
      throw new BangerError("untrusted", `Cannot use "${directory}/Packages.xz": ${why}`);
    }
    const root = `${this.#base}/dists/${encodeURIComponent(this.#options.suite)}/${directory}`;
    const from = (url: string) => downloadBytes({ ...bounds(this.#options), url, expected });
    if (this.release.acquireByHash) {
      try {
        return await from(`${root}/by-hash/SHA256/${expected.sha256}`);
      } catch (error) {
        if (!isBangerError(error) || error.code !== "NOT_ON_MIRROR") throw error;
      }
    }
    return await from(`${root}/Packages.xz`);
  }
}

/** The options that every download of one archive shares. */
function bounds(options: DebianArchiveOptions) {
  return {
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.retryDelaysMs === undefined ? {} : { retryDelaysMs: options.retryDelaysMs }),
    ...(options.stallTimeoutMs === undefined ? {} : { stallTimeoutMs: options.stallTimeoutMs }),
  };
}

function contentOf(record: PackageRecord): ExpectedContent {
  return { bytes: record.bytes, sha256: record.sha256 };
}

async function readKeyring(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (cause) {
    throw new BangerError("precondition", `Cannot read the Debian keyring "${path}"`, {
      hint: "apt-get install debian-archive-keyring",
      cause,
    });
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
