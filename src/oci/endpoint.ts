import { defaultDomain } from "../model/image_reference.ts";

/** Where the API of a registry is. */
export interface RegistryEndpoint {
  /** For example `https://host:port`. */
  readonly origin: string;
  /** Host and port as URLs have them. */
  readonly host: string;
  /** On this computer: plain http, and no proxy. */
  readonly loopback: boolean;
}

/** The API of the default domain has a host of its own. */
const defaultHost = `registry-1.${defaultDomain}`;

/** The endpoint of a reference's domain: https, or http when it is this computer's loopback. */
export function endpointOf(domain: string): RegistryEndpoint {
  const authority = domain === defaultDomain ? defaultHost : domain;
  const loopback = isLoopbackHost(hostNameOf(authority));
  const { origin, host } = new URL(`${loopback ? "http" : "https"}://${authority}/`);
  return { origin, host, loopback };
}

/**
 * Whether a host, as users and URLs write it, is this computer: `localhost`, 127.0.0.0/8 in four
 * parts, `::1`. What only resolves to it is not.
 */
export function isLoopbackHost(hostName: string): boolean {
  const name = hostName.toLowerCase();
  if (name === "localhost" || name === "[::1]" || name === "[0:0:0:0:0:0:0:1]") return true;
  const parts = name.split(".");
  return parts.length === 4 && parts[0] === "127" &&
    parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255);
}

/**
 * Whether a request that belongs to `endpoint` may go to `url`: https anywhere, http only from a
 * loopback registry to loopback.
 */
export function mayReach(endpoint: RegistryEndpoint, url: URL): boolean {
  if (url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && endpoint.loopback && isLoopbackHost(url.hostname);
}

function hostNameOf(authority: string): string {
  return authority.replace(/:[0-9]+$/, "");
}
