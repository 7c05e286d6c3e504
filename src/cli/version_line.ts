import { buildInfo } from "../version/build_info.ts";

/** `banger 0.1.0 (commit abc1234, self-extracting, Deno 2.9.6)`. */
export function versionLine(): string {
  const { version, commit, kind, denoVersion } = buildInfo();
  return `banger ${version} (commit ${commit}, ${kind}, Deno ${denoVersion})\n`;
}
