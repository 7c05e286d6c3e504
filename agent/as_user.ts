import type { AgentContext } from "./context.ts";
import type { User } from "./users.ts";

/** A program and the environment that it is started with. */
export interface Started {
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
}

/** What makes a program run as `user`; nothing for the agent's own user. */
export function asUser(context: AgentContext, user: User, { argv, env }: Started): Started {
  if (user.uid === 0 && user.gid === 0) return { argv, env };
  const groups = user.groups.length === 0 ? "--clear-groups" : `--groups=${user.groups.join(",")}`;
  const ids = [`--reuid=${user.uid}`, `--regid=${user.gid}`, groups];
  // Libraries that an image has its own programs load are not for the kit's.
  const loader = Object.entries(env).filter(([name]) => name.startsWith("LD_"));
  const rest = Object.entries(env).filter(([name]) => !name.startsWith("LD_"));
  const words = loader.map(([name, text]) => `${name}=${text}`);
  const back = words.length === 0 ? [] : [`${context.kit}/bin/busybox`, "env", ...words];
  return {
    argv: [`${context.kit}/bin/setpriv`, ...ids, "--", ...back, ...argv],
    env: Object.fromEntries(rest),
  };
}
