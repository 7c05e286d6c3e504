import { BangerError } from "../model/errors.ts";
import { urlProblem } from "./catalog_url.ts";

const maxRedirects = 5;

/** Code of the error for a file that the server does not have. */
export const notThereCode = "NOT_ON_SERVER";

/** A failure that another try may mend. */
export class TransientError extends Error {
  /** What the server asked to wait, in milliseconds. */
  readonly retryAfterMs: number | null;

  constructor(message: string, options: ErrorOptions & { readonly retryAfterMs?: number } = {}) {
    super(message, options);
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

/**
 * One GET that follows at most {@linkcode maxRedirects} redirects, each to an address that
 * {@linkcode urlProblem} allows. Answers a response with a status of 2xx, or of `accepted`.
 *
 * @throws TransientError for 408, 429 and 5xx; BangerError `unavailable` for other refusals,
 * `untrusted` for a redirect that is not allowed
 */
export async function fetchWithin(
  address: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
  accepted: readonly number[] = [],
): Promise<Response> {
  let url = new URL(address);
  const first = urlProblem(url);
  if (first !== undefined) throw refuseAddress(address, first);
  for (let count = 0; count <= maxRedirects; count++) {
    // Nothing is unpacked on the way: a part that is asked for is one of the very bytes signed.
    const response = await fetch(url, {
      headers: { "accept-encoding": "identity", ...headers },
      redirect: "manual",
      signal,
    });
    if (response.ok || accepted.includes(response.status)) return response;
    await response.body?.cancel();
    const target = response.headers.get("location");
    if (![301, 302, 303, 307, 308].includes(response.status) || target === null) {
      throw refusal(address, response);
    }
    if (!URL.canParse(target, url)) throw refuseAddress(address, "it redirects to no address");
    const next = new URL(target, url);
    const problem = urlProblem(next, url);
    if (problem !== undefined) {
      throw refuseAddress(address, `it redirects to "${next.origin}": ${problem}`);
    }
    url = next;
  }
  throw refuseAddress(address, `it redirects more than ${maxRedirects} times`);
}

/** The last part of an address's path, for messages. */
export function fileNameOf(address: string): string {
  const path = address.split(/[?#]/, 1)[0] ?? address;
  return path.slice(path.lastIndexOf("/") + 1);
}

function refusal(address: string, response: Response): Error {
  const said = `the server answered ${response.status} ${response.statusText}`.trimEnd();
  const { status } = response;
  if (status >= 500 || status === 408 || status === 429) {
    const seconds = Number(response.headers.get("retry-after") ?? NaN);
    return new TransientError(said, seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {});
  }
  return new BangerError("unavailable", `Cannot download "${fileNameOf(address)}": ${said}`, {
    detail: address,
    hint: "Check [catalog] url (banger config show), and that the catalog is up to date",
    ...(status === 404 || status === 410 ? { code: notThereCode } : {}),
  });
}

function refuseAddress(address: string, why: string): BangerError {
  return new BangerError("untrusted", `Cannot download "${fileNameOf(address)}": ${why}`, {
    code: "ADDRESS_REFUSED",
    detail: address,
  });
}
