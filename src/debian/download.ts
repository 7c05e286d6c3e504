import { createHash } from "node:crypto";
import { BangerError, isBangerError, reasonOf } from "../model/errors.ts";
import { pause } from "../sync/pause.ts";

/** What a download must turn out to be. */
export interface ExpectedContent {
  readonly bytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** What to download and within which bounds. */
export interface DownloadOptions {
  readonly url: string;
  /** Known beforehand from signed data; left out only for what carries its own signature. */
  readonly expected?: ExpectedContent;
  /** Most bytes that are taken; `expected.bytes` when left out. */
  readonly maxBytes?: number;
  /** Bytes so far and in all; `null` while that is not known. */
  readonly onProgress?: (bytes: number, totalBytes: number | null) => void;
  readonly signal?: AbortSignal;
  /** Longest time without a byte; 30 s when left out. */
  readonly stallTimeoutMs?: number;
  /** Pauses before further tries after a transient failure; 0.5 s, 2 s and 5 s when left out. */
  readonly retryDelaysMs?: readonly number[];
}

/** Where the bytes go; `restart` comes before each try. */
export interface DownloadSink {
  restart(): Promise<void>;
  write(chunk: Uint8Array): Promise<void>;
}

const defaultRetryDelaysMs = [500, 2_000, 5_000];
const defaultStallTimeoutMs = 30_000;

/** A failure that another try may mend. */
class TransientError extends Error {}

/**
 * Streams `url` into `sink`, hashing on the way; tries again after network failures and the
 * server's own (5xx, 408, 429), never after other refusals or wrong content.
 *
 * @throws BangerError `unavailable` when the server cannot be reached or refuses, `untrusted` when
 * size or hash differ from `expected`, `exhausted` above `maxBytes`, `cancelled`
 */
export async function download(
  options: DownloadOptions,
  sink: DownloadSink,
): Promise<ExpectedContent> {
  const delays = options.retryDelaysMs ?? defaultRetryDelaysMs;
  for (let attempt = 0;; attempt++) {
    try {
      await sink.restart();
      return await attemptOnce(options, sink);
    } catch (error) {
      if (options.signal?.aborted === true) {
        throw new BangerError("cancelled", `Stopped the download of "${nameOf(options.url)}"`);
      }
      if (!(error instanceof TransientError)) throw error;
      const delayMs = delays[attempt];
      if (delayMs === undefined) {
        throw new BangerError(
          "unavailable",
          `Cannot download "${nameOf(options.url)}": ${error.message}`,
          {
            hint: "Check the network and the mirror, then try again",
            detail: options.url,
            cause: error,
          },
        );
      }
      await pause(delayMs, options.signal);
    }
  }
}

async function attemptOnce(options: DownloadOptions, sink: DownloadSink): Promise<ExpectedContent> {
  const name = nameOf(options.url);
  const limit = options.expected?.bytes ?? options.maxBytes ?? 0;
  const stall = new AbortController();
  const stallTimeoutMs = options.stallTimeoutMs ?? defaultStallTimeoutMs;
  let timer = setTimeout(() => stall.abort(), stallTimeoutMs);
  const signals = [stall.signal, ...(options.signal === undefined ? [] : [options.signal])];
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    const response = await fetch(options.url, { signal: AbortSignal.any(signals) });
    if (!response.ok) {
      await response.body?.cancel();
      throw refusal(name, options.url, response);
    }
    const total = options.expected?.bytes ?? contentLength(response);
    for await (const chunk of response.body ?? []) {
      clearTimeout(timer);
      timer = setTimeout(() => stall.abort(), stallTimeoutMs);
      bytes += chunk.length;
      if (bytes > limit) throw tooLong(name, options);
      hash.update(chunk);
      await sink.write(chunk);
      options.onProgress?.(bytes, total);
    }
  } catch (error) {
    // What the sink throws (a full disk) is no failure of the network.
    if (isBangerError(error) || isFileError(error)) throw error;
    if (error instanceof TransientError) throw error;
    const seconds = Math.round(stallTimeoutMs / 1000);
    const of = options.expected === undefined ? "" : ` of ${options.expected.bytes}`;
    throw new TransientError(
      stall.signal.aborted
        ? `nothing came for ${seconds} s (after ${bytes}${of} bytes)`
        : `the connection broke after ${bytes}${of} bytes (${reasonOf(error)})`,
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
  const got = { bytes, sha256: hash.digest("hex") };
  checkContent(name, got, options.expected);
  return got;
}

/**
 * Compares what came with what was promised.
 *
 * @throws BangerError `untrusted`
 */
export function checkContent(
  name: string,
  got: ExpectedContent,
  expected: ExpectedContent | undefined,
): void {
  if (expected === undefined) return;
  const hint = "The mirror may be half-updated or damaged: try again later, or use another one";
  if (got.bytes !== expected.bytes) {
    throw new BangerError(
      "untrusted",
      `Cannot use "${name}": it has ${got.bytes} bytes, ${expected.bytes} were expected`,
      { hint, code: "SIZE_MISMATCH" },
    );
  }
  if (got.sha256 !== expected.sha256) {
    throw new BangerError("untrusted", `Cannot use "${name}": its SHA-256 is wrong`, {
      hint,
      code: "HASH_MISMATCH",
      detail: `expected ${expected.sha256}\ngot      ${got.sha256}`,
    });
  }
}

/** The last part of a URL's path, for messages. */
export function nameOf(url: string): string {
  return url.slice(url.lastIndexOf("/") + 1);
}

function refusal(name: string, url: string, response: Response): Error {
  const said = `the server answered ${response.status} ${response.statusText}`.trimEnd();
  if (response.status >= 500 || response.status === 408 || response.status === 429) {
    return new TransientError(said);
  }
  return new BangerError("unavailable", `Cannot download "${name}": ${said}`, {
    detail: url,
    hint: "Check that the mirror has this Debian release ([catalog] debian_mirror)",
    ...(response.status === 404 ? { code: "NOT_ON_MIRROR" } : {}),
  });
}

function tooLong(name: string, options: DownloadOptions): BangerError {
  if (options.expected === undefined) {
    const state = `it is longer than ${options.maxBytes} bytes`;
    return new BangerError("exhausted", `Cannot download "${name}": ${state}`);
  }
  return new BangerError(
    "untrusted",
    `Cannot use "${name}": it has more bytes than the ${options.expected.bytes} expected`,
    { code: "SIZE_MISMATCH" },
  );
}

function contentLength(response: Response): number | null {
  const text = response.headers.get("content-length");
  return text !== null && /^[0-9]{1,15}$/.test(text) ? Number(text) : null;
}

function isFileError(error: unknown): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string" &&
    ["ENOSPC", "EDQUOT", "EIO", "EROFS", "EFBIG", "EACCES", "ENOENT"].includes(error.code);
}
