import { BangerError, isBangerError, reasonOf } from "../model/errors.ts";
import { fetchWithin, fileNameOf, TransientError } from "./fetch_within.ts";
import { pause } from "../sync/pause.ts";

/** A transfer and its bounds. */
export interface TransferOptions {
  readonly url: string;
  /** Most bytes that are taken. */
  readonly maxBytes: number;
  /** Exact length, where it is known: a connection that ends before it has broken. */
  readonly expectedBytes?: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (bytes: number, totalBytes: number | null) => void;
  /** Longest time without a byte; 30 s when left out. */
  readonly stallTimeoutMs?: number;
  /** Pauses before further tries that bring nothing new; 0.5 s, 2 s and 5 s when left out. */
  readonly retryDelaysMs?: readonly number[];
}

/** Where the bytes go. */
export interface TransferSink {
  /** Bytes that are there already: the next try asks for what follows. */
  readonly bytes: number;
  /** Forgets them all. */
  restart(): Promise<void>;
  write(chunk: Uint8Array): Promise<void>;
}

const defaultStallTimeoutMs = 30_000;
const defaultRetryDelaysMs: readonly number[] = [500, 2_000, 5_000];
const longestRetryAfterMs = 30_000;
/** However little each of them brings. */
const mostTries = 50;

/**
 * Streams an address into `sink`. A connection that breaks or stalls is taken up again where it
 * ended, by a range request, where the server can; tries that bring nothing new are limited.
 *
 * @throws BangerError `unavailable`, `untrusted` (longer than allowed, another length than expected, a
 * redirect that is not allowed), `cancelled`; and what the sink throws
 */
export async function transfer(options: TransferOptions, sink: TransferSink): Promise<void> {
  const delays = options.retryDelaysMs ?? defaultRetryDelaysMs;
  const validator: Validator = { etag: null };
  let fruitless = 0;
  for (let count = 1;; count++) {
    const before = sink.bytes;
    try {
      return await transferOnce(options, sink, validator);
    } catch (error) {
      if (options.signal.aborted) throw stopped(options.url);
      if (!(error instanceof TransientError)) throw error;
      fruitless = sink.bytes > before ? 0 : fruitless + 1;
      const delayMs = delays[Math.max(0, fruitless - 1)];
      if (delayMs === undefined || count >= mostTries) {
        const name = fileNameOf(options.url);
        throw new BangerError("unavailable", `Cannot download "${name}": ${error.message}`, {
          hint: "Check the network, then try again",
          detail: options.url,
          cause: error,
        });
      }
      const asked = Math.min(error.retryAfterMs ?? 0, longestRetryAfterMs);
      await pause(Math.max(delayMs, asked), options.signal);
    }
  }
}

/** What tells a server whether the file is still the one that was begun. */
interface Validator {
  etag: string | null;
}

async function transferOnce(
  options: TransferOptions,
  sink: TransferSink,
  validator: Validator,
): Promise<void> {
  const stallTimeoutMs = options.stallTimeoutMs ?? defaultStallTimeoutMs;
  const stall = new AbortController();
  let timer = setTimeout(() => stall.abort(), stallTimeoutMs);
  try {
    const signal = AbortSignal.any([stall.signal, options.signal]);
    const response = await request(options.url, sink, validator, signal);
    const told = totalOf(response, sink.bytes);
    const total = options.expectedBytes ?? told;
    if (told !== null && told !== total) {
      await response.body?.cancel();
      throw otherSize(options, told);
    }
    for await (const chunk of response.body ?? []) {
      clearTimeout(timer);
      timer = setTimeout(() => stall.abort(), stallTimeoutMs);
      if (sink.bytes + chunk.length > options.maxBytes) throw tooLong(options);
      await sink.write(chunk);
      options.onProgress?.(sink.bytes, total);
    }
    const expected = options.expectedBytes ?? sink.bytes;
    if (sink.bytes < expected) {
      throw new TransientError(`it ends after ${sink.bytes} of ${expected} bytes`);
    }
  } catch (error) {
    // What the sink throws (a full disk) is no failure of the network.
    if (isBangerError(error) || isFileError(error)) throw error;
    if (error instanceof TransientError) throw error;
    const seconds = Math.round(stallTimeoutMs / 1000);
    throw new TransientError(
      stall.signal.aborted
        ? `nothing came for ${seconds} s (after ${sink.bytes} bytes)`
        : `the connection broke after ${sink.bytes} bytes (${reasonOf(error)})`,
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
}

/** Asks for what is missing; a server that sends everything again is taken at its word. */
async function request(
  url: string,
  sink: TransferSink,
  validator: Validator,
  signal: AbortSignal,
): Promise<Response> {
  if (sink.bytes > 0) {
    const ifRange = validator.etag === null ? {} : { "if-range": validator.etag };
    const headers = { range: `bytes=${sink.bytes}-`, ...ifRange };
    const response = await fetchWithin(url, headers, signal, [416]);
    const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
    if (response.status === 206 && Number(range?.[1]) === sink.bytes) return response;
    await sink.restart();
    if (response.status === 200) return remember(response, validator);
    await response.body?.cancel();
  }
  await sink.restart();
  return remember(await fetchWithin(url, {}, signal), validator);
}

function remember(response: Response, validator: Validator): Response {
  const etag = response.headers.get("etag");
  // A weak one says nothing about bytes (RFC 9110, 8.8.3).
  validator.etag = etag?.startsWith('"') === true ? etag : null;
  return response;
}

function totalOf(response: Response, before: number): number | null {
  const text = response.headers.get("content-length") ?? "";
  return /^[0-9]{1,15}$/.test(text) ? before + Number(text) : null;
}

function isFileError(error: unknown): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string" &&
    ["ENOSPC", "EDQUOT", "EIO", "EROFS", "EFBIG", "EACCES", "ENOENT"].includes(error.code);
}

function otherSize(options: TransferOptions, bytes: number): BangerError {
  const name = fileNameOf(options.url);
  return new BangerError(
    "untrusted",
    `Cannot use "${name}": it has ${bytes} bytes, ${options.expectedBytes} were expected`,
    {
      code: "SIZE_MISMATCH",
      detail: options.url,
      hint: "The server may be half-updated or damaged: try again later",
    },
  );
}

function tooLong(options: TransferOptions): BangerError {
  const name = fileNameOf(options.url);
  return new BangerError(
    "untrusted",
    `Cannot use "${name}": it has more than the ${options.maxBytes} bytes allowed`,
    { code: "SIZE_MISMATCH", detail: options.url },
  );
}

function stopped(url: string): BangerError {
  return new BangerError("cancelled", `Stopped the download of "${fileNameOf(url)}"`);
}
