import { plainEnv, run, type RunResult } from "../process/run.ts";

/** What the host's git needs of the calling user's environment. */
export interface HostGitEnv {
  readonly home: string | undefined;
  readonly xdgConfigHome: string | undefined;
  /** Set by sudo(8): git then also trusts repositories of that user. */
  readonly sudoUid: string | undefined;
}

/** How one git command is run. */
export interface GitCallOptions {
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly okCodes?: readonly number[];
  readonly maxStdoutBytes?: number;
  readonly stdin?: Uint8Array;
}

/**
 * Settings that win over every configuration file: no monitor, hooks, transports, helpers, pager.
 * Sources: git-config(1), git(1).
 */
const hardening: readonly string[] = [
  "core.fsmonitor=false",
  "core.untrackedCache=false",
  "core.hooksPath=/dev/null",
  "core.sshCommand=false",
  "core.askPass=false",
  "core.pager=cat",
  "core.editor=false",
  "core.alternateRefsCommand=false",
  "credential.helper=",
  "diff.external=",
  "protocol.allow=never",
  "submodule.recurse=false",
  "uploadpack.packObjectsHook=",
].flatMap((setting) => ["-c", setting]);

/**
 * The host's git, for plumbing that only reads. Nothing that a repository configures is run, it
 * never asks, never fetches, never writes the index.
 */
export class HostGit {
  readonly #env: Readonly<Record<string, string>>;

  constructor(env: HostGitEnv) {
    this.#env = {
      ...plainEnv,
      ...(env.home === undefined ? {} : { HOME: env.home }),
      ...(env.xdgConfigHome === undefined ? {} : { XDG_CONFIG_HOME: env.xdgConfigHome }),
      ...(env.sudoUid === undefined ? {} : { SUDO_UID: env.sudoUid }),
      GIT_OPTIONAL_LOCKS: "0",
      GIT_TERMINAL_PROMPT: "0",
      GIT_NO_LAZY_FETCH: "1",
      GIT_NO_REPLACE_OBJECTS: "1",
      GIT_LITERAL_PATHSPECS: "1",
    };
  }

  /** @throws BangerError as {@linkcode run}; `precondition` when there is no git */
  async call(args: readonly string[], options: GitCallOptions): Promise<RunResult> {
    return await run("git", ["--no-pager", ...hardening, ...args], {
      cwd: options.cwd,
      env: { ...this.#env, ...options.env },
      signal: options.signal,
      timeoutMs: options.timeoutMs,
      ...(options.okCodes === undefined ? {} : { okCodes: options.okCodes }),
      ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
      ...(options.maxStdoutBytes === undefined ? {} : { maxStdoutBytes: options.maxStdoutBytes }),
    });
  }
}
