import { run } from "../../src/process/run.ts";

/** The fixed part of the build information. */
export interface BuildVersion {
  readonly version: string;
  /** Abbreviated commit, `-dirty` behind it when files differ from it; `unknown` without git. */
  readonly commit: string;
}

/** Reads the version from `deno.json` and the commit from git. */
export async function buildVersion(root: string): Promise<BuildVersion> {
  const config = JSON.parse(await Deno.readTextFile(`${root}/deno.json`)) as { version: string };
  return { version: config.version, commit: await commitOf(root) };
}

async function commitOf(root: string): Promise<string> {
  // A build may run as root in a working tree of somebody else's; git asks for consent to that.
  const git = async (...args: string[]) => {
    const result = await run("git", ["-c", `safe.directory=${root}`, "-C", root, ...args]);
    return new TextDecoder().decode(result.stdout).trim();
  };
  try {
    const commit = await git("rev-parse", "--short=12", "HEAD");
    const changed = await git("status", "--porcelain");
    return changed === "" ? commit : `${commit}-dirty`;
  } catch {
    return "unknown";
  }
}
