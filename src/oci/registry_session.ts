import type { RegistryCredentials } from "../model/registry_credentials.ts";
import { parseChallenges } from "./auth_challenge.ts";
import { mayReach, type RegistryEndpoint } from "./endpoint.ts";
import { pullError, type PullSubject, quoted } from "./oci_error.ts";
import { parseRealm } from "./realm.ts";
import type { RegistryTransport } from "./registry_transport.ts";
import { basicAuthorization, requestToken } from "./token_server.ts";
import { networkReason, TransientError } from "./transient_error.ts";
import type { Watchdog } from "./watchdog.ts";

/** What a session with one repository needs. */
export interface SessionOptions {
  readonly transport: RegistryTransport;
  readonly endpoint: RegistryEndpoint;
  /** Path of the repository in the registry. */
  readonly repository: string;
  readonly credentials: RegistryCredentials | null;
  /** Longest wait for an answer or between bytes, in milliseconds. */
  readonly silenceMs: number;
  readonly subject: PullSubject;
}

const maxRedirects = 5;
/** Basic needs one try, a token that ran out meanwhile one more. */
const maxAuthorisations = 2;
const redirects = new Set([301, 302, 303, 307, 308]);

/**
 * Requests to one repository, with what the registry asks for as authorisation. That goes to the
 * registry's own origin only: a redirect elsewhere loses it, and a challenge from elsewhere is
 * never answered.
 */
export class RegistrySession {
  readonly #options: SessionOptions;
  #authorization: string | undefined;
  #authorising: Promise<string> | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /**
   * The answer to a GET of `path` below `/v2/REPOSITORY/`, whatever its status but 401 and
   * redirects.
   *
   * @throws TransientError; BangerError `precondition` when it is not allowed, `untrusted` when it is
   * redirected to where it must not go
   */
  async get(
    path: string,
    headers: Readonly<Record<string, string>>,
    watchdog: Watchdog,
    signal: AbortSignal,
  ): Promise<Response> {
    const { endpoint, repository, subject } = this.#options;
    const url = new URL(`/v2/${repository}/${path}`, endpoint.origin);
    for (let tries = 0;; tries++) {
      const used = this.#authorization;
      const { response, last } = await this.#follow(url, headers, used, watchdog, signal);
      if (response.status !== 401 || last.origin !== endpoint.origin) return response;
      await response.body?.cancel();
      if (tries >= maxAuthorisations || (tries > 0 && this.#isFinal())) {
        const own = this.#options.credentials === null ? "no credentials" : "these credentials";
        const state = `registry ${quoted(endpoint.host)} does not let ${own} read it (401)`;
        throw pullError(subject, "precondition", state, { code: "REGISTRY_DENIED" });
      }
      await this.#authorise(response.headers.get("www-authenticate") ?? "", used, signal);
    }
  }

  /** Whether another try would send the same once more. */
  #isFinal(): boolean {
    return this.#authorization?.startsWith("Basic ") === true ||
      this.#options.credentials?.kind === "registry_token";
  }

  async #follow(
    start: URL,
    headers: Readonly<Record<string, string>>,
    authorization: string | undefined,
    watchdog: Watchdog,
    signal: AbortSignal,
  ): Promise<{ response: Response; last: URL }> {
    const { endpoint, subject, transport } = this.#options;
    let url = start;
    for (let hops = 0; hops <= maxRedirects; hops++) {
      const own = url.origin === endpoint.origin && authorization !== undefined;
      let response: Response;
      try {
        response = await transport.fetch(url, {
          headers: {
            "accept-encoding": "identity",
            "user-agent": "banger",
            ...headers,
            ...(own ? { authorization } : {}),
          },
          signal: watchdog.signal,
        });
      } catch (error) {
        signal.throwIfAborted();
        const why = watchdog.barked ? "it does not answer" : networkReason(error);
        if (/certificate/i.test(why)) throw this.#badCertificate(url, why);
        throw new TransientError(`registry ${quoted(url.host)}: ${why}`, { cause: error });
      }
      watchdog.saw(Infinity);
      const target = response.headers.get("location");
      if (!redirects.has(response.status) || target === null) return { response, last: url };
      await response.body?.cancel();
      const next = URL.canParse(target, url) ? new URL(target, url) : undefined;
      if (next === undefined || !mayReach(endpoint, next)) {
        const where = next === undefined ? "nowhere" : `to ${quoted(next.origin)}`;
        throw pullError(
          subject,
          "untrusted",
          `registry ${quoted(endpoint.host)} redirects ${where}, which is not allowed`,
          { code: "BAD_REDIRECT" },
        );
      }
      url = next;
    }
    const state = `registry ${quoted(endpoint.host)} redirects more than ${maxRedirects} times`;
    throw pullError(subject, "untrusted", state, { code: "BAD_REDIRECT" });
  }

  #badCertificate(url: URL, why: string) {
    return pullError(
      this.#options.subject,
      "untrusted",
      `registry ${quoted(url.host)} has no certificate that this host trusts: ${why}`,
      {
        code: "BAD_CERTIFICATE",
        hint: "Add its authority to /usr/local/share/ca-certificates, then: update-ca-certificates",
      },
    );
  }

  /** Replaces the authorisation `rejected`, once for all requests that were rejected with it. */
  async #authorise(
    challenge: string,
    rejected: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.#authorization !== rejected) return;
    this.#authorising ??= this.#obtain(challenge).finally(() => this.#authorising = undefined);
    this.#authorization = await orAborted(this.#authorising, signal);
  }

  /** Bounded by itself and not by a caller's signal: others may wait for the same token. */
  async #obtain(header: string): Promise<string> {
    const { endpoint, repository, credentials, subject, transport, silenceMs } = this.#options;
    if (credentials?.kind === "registry_token") {
      if (/^[\x21-\x7e]+$/.test(credentials.token)) return `Bearer ${credentials.token}`;
      throw pullError(subject, "precondition", "the token in the Docker config is damaged");
    }
    const challenges = parseChallenges(header);
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    if (bearer !== undefined) {
      const realm = parseRealm(endpoint, bearer.params["realm"]);
      if (realm === undefined) {
        const named = quoted(bearer.params["realm"] ?? "");
        const state = `registry ${quoted(endpoint.host)} names ${named} as its token server, ` +
          "which is neither https nor, for a registry on this computer, on this computer";
        throw pullError(subject, "untrusted", state, { code: "BAD_REALM" });
      }
      const service = bearer.params["service"];
      const scope = `repository:${repository}:pull`;
      const request = { endpoint, realm, service, scope, credentials, silenceMs };
      const limit = new AbortController().signal;
      return `Bearer ${await requestToken(transport, subject, request, limit)}`;
    }
    const canBasic = challenges.some(({ scheme }) => scheme === "basic");
    if (canBasic && credentials?.kind === "password") return basicAuthorization(credentials);
    const state = canBasic
      ? `registry ${quoted(endpoint.host)} wants a user name and a password (401)`
      : `registry ${quoted(endpoint.host)} does not say how to log in (401)`;
    throw pullError(subject, "precondition", state, { code: "REGISTRY_DENIED" });
  }
}

async function orAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([result, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
