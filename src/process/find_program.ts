import { plainEnv } from "./run.ts";

/** The directories in which programs are looked for; the caller's PATH is not trusted. */
export const programDirs: readonly string[] = (plainEnv.PATH ?? "").split(":");

/**
 * The absolute path of the executable file `name`, or `undefined`. A `name` with a slash is taken as
 * it is and only checked.
 */
// deno-lint-ignore require-await
export async function findProgram(
  name: string,
  dirs: readonly string[] = programDirs,
): Promise<string | undefined> {
  const candidates = name.includes("/") ? [name] : dirs.map((dir) => `${dir}/${name}`);
  for (const path of candidates) {
    if (isExecutable(path)) return path;
  }
  return undefined;
}

/** Waits for the disk: dozens of looks through another thread take 15 ms of a start. */
function isExecutable(path: string): boolean {
  try {
    const info = Deno.statSync(path);
    return info.isFile && ((info.mode ?? 0) & 0o111) !== 0;
  } catch {
    return false;
  }
}
