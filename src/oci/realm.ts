import { isLoopbackHost, mayReach, type RegistryEndpoint } from "./endpoint.ts";

/** Second-level names under which strangers register, such as `co.uk`. */
const sharedSecondLevel = /^[a-z]{2,3}\.[a-z]{2}$/;

/** The token server's address that a registry names; `undefined` when no request may go there. */
export function parseRealm(endpoint: RegistryEndpoint, text: string | undefined): URL | undefined {
  if (text === undefined || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  url.hash = "";
  return mayReach(endpoint, url) ? url : undefined;
}

/**
 * Whether the credentials of a registry may go to a token server: to the registry's own host, or
 * to one of the same organisation, which a common parent domain tells (`registry.example.com` and
 * `auth.example.com`). On loopback only to the same port: another one may be another user's.
 */
export function isSameOwner(endpoint: RegistryEndpoint, realm: URL): boolean {
  if (realm.origin === endpoint.origin) return true;
  if (endpoint.loopback || isLoopbackHost(realm.hostname)) return false;
  const own = new URL(endpoint.origin).hostname.toLowerCase();
  const other = realm.hostname.toLowerCase();
  if (own === other) return true;
  const site = siteOf(own);
  return site !== undefined && site === siteOf(other);
}

/** The part of a host name that somebody registered; `undefined` for addresses and bare names. */
function siteOf(host: string): string | undefined {
  if (host.startsWith("[") || /^[0-9.]+$/.test(host)) return undefined;
  const labels = host.split(".");
  const top = labels.slice(-2).join(".");
  const count = sharedSecondLevel.test(top) ? 3 : 2;
  return labels.length < count ? undefined : labels.slice(-count).join(".");
}
