const maxUrlChars = 2_048;

/** Whether only this machine can answer under `url`. */
export function isLoopback(url: URL): boolean {
  const { hostname } = url;
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/**
 * The rule that an address breaks, or `undefined`: https, or http to this machine; without a user, a
 * password or a fragment. Where `from` is given (who leads there: a catalog, a redirect) and is
 * another machine, this machine may not be named: nobody outside makes banger ask local services.
 */
export function urlProblem(url: URL, from: URL | null = null): string | undefined {
  if (url.href.length > maxUrlChars) return `it is longer than ${maxUrlChars} characters`;
  if (url.protocol !== "https:" && url.protocol !== "http:") return "it must be an https address";
  if (url.username !== "" || url.password !== "") return "it must not hold a user or password";
  if (url.hash !== "") return "it must not hold a fragment";
  if (isLoopback(url)) {
    return from === null || isLoopback(from) ? undefined : "it leads to this machine";
  }
  return url.protocol === "https:" ? undefined : "it must be an https address";
}
