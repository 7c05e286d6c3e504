import type { ExecRequest, ImageDefaults, WorkspacePlace } from "../src/wire/messages.ts";
import type { AgentContext } from "./context.ts";
import { Failure } from "./failure.ts";
import { isDirectory } from "./files.ts";
import { findProgram } from "./program.ts";
import { findShell } from "./shell.ts";
import { findUser, type User } from "./users.ts";
import { imageUser, ownerText, workspaceDir } from "./workspace.ts";

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A request in this guest's own terms. */
export interface ResolvedExec {
  readonly user: User;
  /** Exists. */
  readonly cwd: string;
  /** All of it. */
  readonly env: Readonly<Record<string, string>>;
  /** The first word is an absolute path, or one seen from `cwd`. */
  readonly argv: readonly [string, ...string[]];
}

/**
 * What a request means here: the caller's own words count first, then the workspace, then what the image
 * says. A user or directory that the caller names must exist; one that only the image names is left out
 * where the guest has none.
 *
 * @throws Failure `not_found` or `not_executable`
 */
export function resolveExec(context: AgentContext, request: ExecRequest): ResolvedExec {
  const { root } = context;
  const workspace = request.workspace ?? null;
  const image = request.image ?? null;
  const user = request.user === null
    ? imageUser(root, image?.user ?? null)
    : findUser(root, request.user);
  const env: Record<string, string> = {
    PATH: defaultPath,
    HOME: user.home,
    USER: user.name,
    LOGNAME: user.name,
    SHELL: user.shell,
    ...image?.env,
    ...(workspace?.isNew ? placeOf(root, workspace) : {}),
    ...request.env,
  };
  const cwd = directoryOf(root, request, user);
  if (request.argv.length > 0) return { user, cwd, env, argv: programOf(request.argv, env, cwd) };
  const shell = findShell(user, env["PATH"]!, cwd);
  if (shell !== undefined) {
    if (env["SHELL"] === user.shell) env["SHELL"] = shell;
    // A login shell's profile may replace the PATH of the image.
    return { user, cwd, env, argv: image === null ? [shell, "-l"] : [shell] };
  }
  const own = request.cwd ?? imageDirectory(image) ?? homeOf(user);
  return { user, cwd: own, env, argv: programOf(imageCommand(image), env, own) };
}

function imageCommand(image: ImageDefaults | null): readonly string[] {
  if (image !== null && image.argv.length > 0) return image.argv;
  throw new Failure(
    "not_found",
    "the guest has neither a shell nor a command of its image's own: name one behind --",
  );
}

function programOf(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string,
): [string, ...string[]] {
  return [findProgram(argv[0]!, env["PATH"]!, cwd), ...argv.slice(1)];
}

/** What a program that makes the workspace is told of its place. */
function placeOf(root: string, workspace: WorkspacePlace): Record<string, string> {
  return {
    BANGER_WORKSPACE: workspaceDir(root, workspace),
    BANGER_WORKSPACE_OWNER: ownerText(root, workspace),
  };
}

function directoryOf(root: string, request: ExecRequest, user: User): string {
  const { cwd, workspace } = request;
  if (cwd !== null) return existing(cwd);
  if (workspace?.isNew) return "/";
  if (workspace) {
    const dir = workspaceDir(root, workspace);
    // A command would do its work in a wrong place; a shell shows where it is.
    if (request.argv.length > 0 || isDirectory(dir)) return existing(dir);
  }
  return imageDirectory(request.image ?? null) ?? homeOf(user);
}

function existing(dir: string): string {
  if (isDirectory(dir)) return dir;
  throw new Failure("not_found", `no directory "${dir}" in the guest`);
}

function imageDirectory(image: ImageDefaults | null): string | undefined {
  const dir = image?.cwd ?? null;
  return dir !== null && isDirectory(dir) ? dir : undefined;
}

function homeOf(user: User): string {
  return isDirectory(user.home) ? user.home : "/";
}
