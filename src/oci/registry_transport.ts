import { isLoopbackHost } from "./endpoint.ts";

/**
 * Sends requests to registries. Those to this computer go there directly, also where a proxy is
 * configured: it would look for the registry on itself, and see what is sent.
 *
 * One for the daemon's life; a download that several pulls wait for outlives the one that began it.
 */
export class RegistryTransport implements Disposable {
  readonly #clients = new Map<string, Deno.HttpClient>();

  /** As `fetch`, with redirects left to the caller. */
  async fetch(url: URL, init: RequestInit): Promise<Response> {
    const direct = isLoopbackHost(url.hostname) ? { client: this.#clientFor(url) } : {};
    return await fetch(url, { ...init, ...direct, redirect: "manual" });
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  #clientFor(url: URL): Deno.HttpClient {
    const known = this.#clients.get(url.origin);
    if (known !== undefined) return known;
    const port = Number(url.port === "" ? (url.protocol === "http:" ? 80 : 443) : url.port);
    // An IPv6 address keeps its brackets: Deno makes a URI of the two.
    const { hostname } = url;
    const client = Deno.createHttpClient({ proxy: { transport: "tcp", hostname, port } });
    this.#clients.set(url.origin, client);
    return client;
  }
}
