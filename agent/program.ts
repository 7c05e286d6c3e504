import { Failure } from "./failure.ts";

/**
 * The file that `name` means: itself when it has a slash (seen from `cwd`), else the first
 * executable one along `path`, as execvp(3) finds it.
 *
 * @throws Failure `not_found` or `not_executable`
 */
export function findProgram(name: string, path: string, cwd: string): string {
  const candidates = name.includes("/")
    ? [name.startsWith("/") ? name : `${cwd}/${name}`]
    : path.split(":").map((directory) => `${directory || cwd}/${name}`);
  let refused: string | undefined;
  for (const candidate of candidates) {
    const what = look(candidate);
    if (what === "executable") return candidate;
    if (what !== "missing") refused ??= what;
  }
  if (refused !== undefined) {
    throw new Failure("not_executable", `cannot run "${name}": ${refused}`);
  }
  throw new Failure("not_found", `no program "${name}" in the guest`);
}

function look(
  path: string,
): "executable" | "missing" | "it is a directory" | "it is not executable" {
  try {
    const info = Deno.statSync(path);
    if (info.isDirectory) return "it is a directory";
    return ((info.mode ?? 0) & 0o111) === 0 ? "it is not executable" : "executable";
  } catch {
    return "missing";
  }
}
