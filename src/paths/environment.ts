import { BangerError } from "../model/errors.ts";
import type { PathsInput } from "./paths.ts";

/** The variables that decide where banger's files are. */
export const pathVariables = [
  "HOME",
  "XDG_STATE_HOME",
  "XDG_CACHE_HOME",
  "XDG_CONFIG_HOME",
  "XDG_RUNTIME_DIR",
] as const;

/** Snapshot of {@linkcode pathVariables}. */
export type PathVariables = Readonly<Partial<Record<typeof pathVariables[number], string>>>;

/** Reads {@linkcode pathVariables} of this process. */
export function readPathVariables(): PathVariables {
  const found: Partial<Record<typeof pathVariables[number], string>> = {};
  for (const name of pathVariables) {
    const value = Deno.env.get(name);
    if (value !== undefined && value !== "") found[name] = value;
  }
  return found;
}

/**
 * Turns the environment into what {@linkcode Paths} derives from: the home directory also from
 * /etc/passwd, the runtime directory only when it is there and ours.
 *
 * @throws BangerError `precondition` when there is no home directory
 */
export function pathsInput(env: PathVariables = readPathVariables(), uid = ownUid()): PathsInput {
  return {
    uid,
    home: homeOf(env, uid),
    xdgStateHome: env.XDG_STATE_HOME,
    xdgCacheHome: env.XDG_CACHE_HOME,
    xdgConfigHome: env.XDG_CONFIG_HOME,
    xdgRuntimeDir: ownDir(env.XDG_RUNTIME_DIR, uid),
  };
}

function ownUid(): number {
  const uid = Deno.uid();
  if (uid !== null) return uid;
  throw new BangerError("precondition", "Cannot run here: this system has no user ids");
}

function homeOf(env: PathVariables, uid: number): string {
  const home = env.HOME?.startsWith("/") ? env.HOME : homeInPasswd(uid);
  if (home !== undefined) return home.length > 1 ? home.replace(/\/+$/, "") : home;
  throw new BangerError("precondition", `Cannot find the home directory of user ${uid}`, {
    hint: "Set HOME to a directory of your own",
  });
}

/** Field 6 of the line of `uid` (passwd(5)). */
export function homeInPasswdText(text: string, uid: number): string | undefined {
  for (const line of text.split("\n")) {
    const fields = line.split(":");
    if (fields.length >= 7 && fields[2] === String(uid) && fields[5]?.startsWith("/")) {
      return fields[5];
    }
  }
  return undefined;
}

function homeInPasswd(uid: number): string | undefined {
  try {
    return homeInPasswdText(Deno.readTextFileSync("/etc/passwd"), uid);
  } catch {
    return undefined;
  }
}

function ownDir(path: string | undefined, uid: number): string | undefined {
  if (path === undefined) return undefined;
  try {
    const info = Deno.statSync(path);
    return info.isDirectory && info.uid === uid ? path : undefined;
  } catch {
    return undefined;
  }
}
