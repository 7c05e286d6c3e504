import { TransientError } from "./transient_error.ts";

const transientCodes = new Set([408, 425, 429]);

/** The error to try again after, when a status says that the server could do it later. */
export function transientStatus(response: Response, who: string): TransientError | undefined {
  const { status, headers } = response;
  if (status < 500 && !transientCodes.has(status)) return undefined;
  const retryAfterMs = parseRetryAfter(headers.get("retry-after"), Date.now());
  return new TransientError(
    `${who} answered ${status}`,
    retryAfterMs === undefined ? {} : { retryAfterMs },
  );
}

/** `Retry-After` in milliseconds from now (RFC 9110, section 10.2.3): seconds, or a date. */
export function parseRetryAfter(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^[0-9]{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const at = /^[A-Za-z]{3,9}, /.test(header) ? Date.parse(header) : NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
