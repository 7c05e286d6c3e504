/** Variables that the daemon gets from whoever starts it; everything else stays behind. */
const passed: readonly string[] = [
  "HOME",
  "PATH",
  "LANG",
  "LC_ALL",
  "TZ",
  "XDG_STATE_HOME",
  "XDG_CACHE_HOME",
  "XDG_CONFIG_HOME",
  "XDG_RUNTIME_DIR",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "ALL_PROXY",
  "all_proxy",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "DENO_CERT",
];

/** The daemon's environment out of the caller's: a short list, and banger's own `BANGER_…`. */
export function daemonEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue;
    if (passed.includes(name) || name.startsWith("BANGER_")) kept[name] = value;
  }
  return kept;
}
