import { BangerError, isBangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";

/** Most bytes of one module, as stored and as it is. */
const maxModuleBytes = 64 * 1024 ** 2;
/** What a decoder may take: more than any level of compression but the most extreme ones needs. */
const memoryLimit = "128MiB";
const timeoutMs = 30_000;

/** By the end of a module's name, as kmod tells them (kmod, libkmod/libkmod-file.c). */
const unpackers: Readonly<Record<string, readonly [string, ...string[]]>> = {
  ".gz": ["gzip", "-d", "-c"],
  ".xz": ["xz", "-d", "-c", "--format=xz", `--memlimit-decompress=${memoryLimit}`],
  ".zst": ["zstd", "-q", "-d", "-c", `-M${memoryLimit}`],
};

const packagesOf: Readonly<Record<string, string>> = { xz: "xz-utils" };
const namePattern = /\.ko(\.gz|\.xz|\.zst)?$/;

/** Whether a file of this path is a module, compressed or not. */
export function isModulePath(path: string): boolean {
  return namePattern.test(path);
}

/** The path that a module has uncompressed: under this one the build's own lists have it. */
export function plainModulePath(path: string): string {
  return path.replace(namePattern, ".ko");
}

/**
 * The bytes of a module: what its file has, or what that unpacks to when its name says how it is
 * compressed.
 *
 * @param maxBytes what it may unpack to, at most; 64 MiB in any case
 * @throws BangerError `untrusted` when it is damaged or too large, `precondition` without the program
 * that unpacks it, `cancelled`
 */
export async function unpackModule(
  stored: Uint8Array,
  path: string,
  { maxBytes, signal }: { readonly maxBytes: number; readonly signal?: AbortSignal | undefined },
): Promise<Uint8Array> {
  const form = namePattern.exec(path)?.[1];
  const unpacker = form === undefined ? undefined : unpackers[form];
  if (unpacker === undefined) return stored;
  const [program, ...args] = unpacker;
  const most = Math.min(maxBytes, maxModuleBytes);
  try {
    const { stdout } = await run(program, args, {
      ...{ stdin: stored, maxStdoutBytes: most, timeoutMs },
      ...(signal === undefined ? {} : { signal }),
    });
    return stdout;
  } catch (error) {
    throw refusal(error, program, path, most);
  }
}

function refusal(error: unknown, program: string, path: string, most: number): unknown {
  const cannot = `Cannot unpack module "${path}"`;
  if (isBangerError(error, "precondition")) {
    return new BangerError("precondition", `${cannot}: ${program} is not installed`, {
      hint: `apt-get install ${packagesOf[program] ?? program}`,
      cause: error,
    });
  }
  if (isBangerError(error, "exhausted")) {
    return new BangerError("untrusted", `${cannot}: it becomes more than ${most} bytes`, {
      cause: error,
    });
  }
  // One that could not be started at all has said nothing.
  if (isBangerError(error, "internal") && error.detail !== undefined) {
    return new BangerError("untrusted", `${cannot}: it is damaged or no ${program} file`, {
      detail: error.detail,
      cause: error,
    });
  }
  return error;
}
