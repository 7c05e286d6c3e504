import { connect } from "../client/connect.ts";
import { pathsInput } from "../paths/environment.ts";
import { Paths } from "../paths/paths.ts";
import { buildInfo } from "../version/build_info.ts";
import { selfCommand } from "../version/self_command.ts";
import type { ConnectOptions, DaemonPort } from "./context.ts";

/** Notices of this process so far: each connection would repeat them. */
const told = new Set<string>();

/**
 * Connects to this user's daemon, as {@linkcode connect} does.
 *
 * @param onNotice gets what the user should know, each text once
 * @throws BangerError as {@linkcode connect}
 */
export async function connectDaemon(
  env: () => Readonly<Record<string, string>>,
  options: ConnectOptions,
  onNotice: (text: string) => void,
): Promise<DaemonPort> {
  return await connect({
    ...options,
    paths: new Paths(pathsInput()),
    command: selfCommand,
    env,
    own: buildInfo(),
    onNotice: (text) => {
      if (told.has(text)) return;
      told.add(text);
      onNotice(text);
    },
  });
}
