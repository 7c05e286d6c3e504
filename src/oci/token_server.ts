import * as v from "valibot";
import type { RegistryCredentials } from "../model/registry_credentials.ts";
import type { RegistryEndpoint } from "./endpoint.ts";
import { pullError, type PullSubject, quoted } from "./oci_error.ts";
import { isSameOwner } from "./realm.ts";
import { readBounded } from "./read_bounded.ts";
import type { RegistryTransport } from "./registry_transport.ts";
import { networkReason, TransientError } from "./transient_error.ts";
import { transientStatus } from "./transient_status.ts";
import { Watchdog } from "./watchdog.ts";

/** A request for a token that lets pull from one repository. */
export interface TokenRequest {
  readonly endpoint: RegistryEndpoint;
  readonly realm: URL;
  readonly service: string | undefined;
  /** Built by ourselves: a registry could ask for more than the pull needs. */
  readonly scope: string;
  readonly credentials: RegistryCredentials | null;
  readonly silenceMs: number;
}

const maxAnswerBytes = 256 * 1024;
const clientId = "banger";

const headerSafe = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(64 * 1024),
  v.regex(/^[\x21-\x7e]+$/),
);
const answer = v.union([
  v.object({ token: headerSafe }),
  v.object({ access_token: headerSafe }),
]);

/**
 * Asks the token server of a registry (distribution's token and OAuth2 specifications). Credentials
 * go there only when it belongs to whom the registry belongs to; redirects are not followed.
 *
 * @throws TransientError; BangerError `precondition` when it refuses, `untrusted` when it answers
 * something else than a token
 */
export async function requestToken(
  transport: RegistryTransport,
  subject: PullSubject,
  request: TokenRequest,
  signal: AbortSignal,
): Promise<string> {
  const { realm, endpoint, credentials } = request;
  const own = credentials !== null && isSameOwner(endpoint, realm);
  using watchdog = new Watchdog(request.silenceMs, signal);
  const { url, init } = requestFor(request, own ? credentials : null);
  let response: Response;
  try {
    response = await transport.fetch(url, { ...init, signal: watchdog.signal });
  } catch (error) {
    signal.throwIfAborted();
    const why = watchdog.barked ? "it does not answer" : networkReason(error);
    throw new TransientError(`token server ${quoted(realm.host)}: ${why}`, { cause: error });
  }
  if (!response.ok) {
    await response.body?.cancel();
    const transient = transientStatus(response, `token server ${quoted(realm.host)}`);
    if (transient !== undefined) throw transient;
    throw refusal(subject, request, own, response.status);
  }
  const bytes = await readBounded(response, maxAnswerBytes, watchdog, signal);
  const token = bytes === undefined ? undefined : tokenIn(bytes);
  if (token !== undefined) return token;
  throw pullError(
    subject,
    "untrusted",
    `token server ${quoted(realm.host)} did not answer with a token`,
  );
}

function requestFor(
  { realm, service, scope }: TokenRequest,
  credentials: RegistryCredentials | null,
): { url: URL; init: RequestInit } {
  const headers = { "accept": "application/json", "accept-encoding": "identity" };
  if (credentials?.kind === "identity_token") {
    const body = new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: credentials.token,
      client_id: clientId,
      scope,
      ...(service === undefined ? {} : { service }),
    });
    return { url: realm, init: { method: "POST", headers, body } };
  }
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  url.searchParams.set("scope", scope);
  if (credentials?.kind !== "password") return { url, init: { headers } };
  url.searchParams.set("client_id", clientId);
  url.searchParams.set("account", credentials.username);
  return { url, init: { headers: { ...headers, authorization: basicAuthorization(credentials) } } };
}

/** The header of RFC 7617, in UTF-8. */
export function basicAuthorization(
  { username, password }: { readonly username: string; readonly password: string },
): string {
  return `Basic ${new TextEncoder().encode(`${username}:${password}`).toBase64()}`;
}

function tokenIn(bytes: Uint8Array): string | undefined {
  try {
    const parsed = v.safeParse(answer, JSON.parse(new TextDecoder().decode(bytes)));
    if (!parsed.success) return undefined;
    return "token" in parsed.output ? parsed.output.token : parsed.output.access_token;
  } catch {
    return undefined;
  }
}

function refusal(subject: PullSubject, request: TokenRequest, own: boolean, status: number) {
  const server = `token server ${quoted(request.realm.host)}`;
  if (request.credentials !== null && !own) {
    const state = `${server} answered ${status}; the credentials of ` +
      `"${request.credentials.domain}" are not sent there, it is another host's`;
    return pullError(subject, "precondition", state, { code: "REGISTRY_DENIED" });
  }
  const state = `${server} answered ${status} to ` +
    (own ? "the credentials given" : "a request without credentials");
  return pullError(subject, "precondition", state, { code: "REGISTRY_DENIED" });
}
