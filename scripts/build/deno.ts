import { plainEnv, run, type RunResult } from "../../src/process/run.ts";

/** Variables of the caller's that a Deno started by the build keeps, when they are set. */
const kept = [
  "DENO_DIR",
  "HOME",
  "NPM_CONFIG_REGISTRY",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
];

/** Runs this same Deno with `args`, its cache and the caller's network settings. */
export async function deno(
  args: readonly string[],
  extraEnv: Readonly<Record<string, string>> = {},
): Promise<RunResult> {
  const env: Record<string, string> = {
    ...plainEnv,
    DENO_NO_UPDATE_CHECK: "1",
    DENO_TLS_CA_STORE: "system,mozilla",
    NO_COLOR: "1",
  };
  for (const name of kept) {
    const value = Deno.env.get(name);
    if (value !== undefined) env[name] = value;
  }
  return await run(Deno.execPath(), args, {
    env: { ...env, ...extraEnv },
    timeoutMs: 5 * 60_000,
  });
}
