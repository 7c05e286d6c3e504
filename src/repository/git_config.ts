import { BangerError } from "../model/errors.ts";
import type { HostGit } from "./host_git.ts";

/** Settings with their values, in the order of the file; keys as `section.subsection.name`. */
export type GitSettings = readonly (readonly [key: string, value: string])[];

const timeoutMs = 15_000;

/**
 * Reads a git configuration file as data: no includes, outside of any repository.
 *
 * @throws BangerError `precondition` when git cannot read it
 */
export async function readGitConfig(
  git: HostGit,
  file: string,
  signal: AbortSignal,
): Promise<GitSettings> {
  try {
    await Deno.lstat(file);
  } catch {
    return [];
  }
  const args = ["config", "--file", file, "--no-includes", "--null", "--list"];
  const { code, stdout, stderr } = await git.call(args, {
    // Not in the repository, whose own configuration git would read as well.
    cwd: "/",
    env: { GIT_CEILING_DIRECTORIES: "/", GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" },
    signal,
    timeoutMs,
    okCodes: [0, 128],
  });
  if (code !== 0) {
    throw new BangerError("precondition", `Cannot read git configuration "${file}"`, {
      detail: stderr.trim(),
    });
  }
  return new TextDecoder().decode(stdout).split("\0").filter((entry) => entry !== "").map(
    (entry) => {
      const newline = entry.indexOf("\n");
      return newline < 0 ? [entry, "true"] : [entry.slice(0, newline), entry.slice(newline + 1)];
    },
  );
}

/** Settings of `core` that describe the work tree and run nothing. */
const coreKeys = new Set([
  "core.filemode",
  "core.symlinks",
  "core.ignorecase",
  "core.precomposeunicode",
  "core.autocrlf",
  "core.eol",
  "core.safecrlf",
  "core.quotepath",
  "core.sparsecheckout",
  "core.sparsecheckoutcone",
  "core.abbrev",
  "index.sparse",
  "index.version",
  "extensions.objectformat",
  "extensions.partialclone",
  "init.defaultbranch",
  "pull.rebase",
  "push.default",
  "user.name",
  "user.email",
]);

const branchKeys = new Set(["remote", "merge", "rebase", "description"]);
const remoteKeys = new Set([
  "url",
  "pushurl",
  "fetch",
  "tagopt",
  "prune",
  "promisor",
  "partialclonefilter",
]);

/**
 * The configuration for the guest: basics, branches and remotes out of `settings`, nothing that
 * names a program, a path of the host or a secret.
 */
export function guestGitConfig(settings: GitSettings): string {
  const kept = settings.filter(([key]) => coreKeys.has(key)) as [string, string][];
  const isVersion1 = kept.some(([key]) => key.startsWith("extensions."));
  const lines: [string, string][] = [
    ["core.repositoryformatversion", isVersion1 ? "1" : "0"],
    ["core.bare", "false"],
    ["core.logallrefupdates", "true"],
    // Owner, inode and ctime of the copies differ from the index; size and mtime do not.
    ["core.checkstat", "minimal"],
    ["core.trustctime", "false"],
    ...kept,
  ];
  for (const [key, value] of settings) {
    const parts = /^(branch|remote)\.(.+)\.([a-z-]+)$/s.exec(key);
    if (parts === null) continue;
    const [, section, , name] = parts;
    if (section === "branch" && branchKeys.has(name!)) lines.push([key, value]);
    if (section === "remote" && remoteKeys.has(name!)) {
      const safe = name === "url" || name === "pushurl" ? guestUrl(value) : value;
      if (safe !== undefined) lines.push([key, safe]);
    }
  }
  return writeGitConfig(lines);
}

/**
 * A remote's URL without credentials; `undefined` for one that leads into the host's file system or
 * to a program (`ext::`).
 */
export function guestUrl(url: string): string | undefined {
  // deno-lint-ignore no-control-regex -- control characters are what is refused
  if (/[\x00-\x20\x7f]/.test(url)) return undefined;
  const match = /^(https?|ssh|git):\/\/(?:([^/@]*)@)?([A-Za-z0-9[\]][^/]*)(\/.*)?$/.exec(url);
  if (match !== null) {
    const [, scheme, userinfo, host, path = ""] = match;
    const user = scheme === "ssh"
      ? /^[A-Za-z0-9_][A-Za-z0-9._-]*/.exec(userinfo ?? "")?.[0]
      : undefined;
    return `${scheme}://${user === undefined ? "" : `${user}@`}${host!.split("@").at(-1)}${path}`;
  }
  // scp form: user@host:path. A host of one letter would be a drive, a leading hyphen an option.
  const scp =
    /^(?:([A-Za-z0-9_][A-Za-z0-9._-]*)@)?([A-Za-z0-9][A-Za-z0-9.-]+):(?!:)(?!\/\/)([^-].*)$/.exec(
      url,
    );
  return scp === null ? undefined : url;
}

function writeGitConfig(settings: readonly (readonly [string, string])[]): string {
  let text = "";
  let section = "";
  for (const [key, value] of settings) {
    const first = key.indexOf(".");
    const last = key.lastIndexOf(".");
    const sub = last > first ? key.slice(first + 1, last) : undefined;
    // A newline in a subsection cannot be written (git-config(1)).
    if (sub?.includes("\n") === true) continue;
    const quoted = sub === undefined ? "" : ` "${sub.replace(/[\\"]/g, "\\$&")}"`;
    const header = `[${key.slice(0, first)}${quoted}]\n`;
    if (header !== section) text += header;
    section = header;
    text += `\t${key.slice(last + 1)} = ${quoteValue(value)}\n`;
  }
  return text;
}

function quoteValue(value: string): string {
  const escaped = value.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\t", "\\t");
  return `"${escaped}"`;
}
