/**
 * The typed client of the owner daemon: connecting, starting it on demand, calling its methods.
 *
 * Owns nothing on the host. Loaded by every command that needs the daemon, so it imports little.
 * Must not import the store, services or the CLI.
 */
import type { DaemonVersion } from "../api/daemon.ts";
import { BangerError, isBangerError } from "../model/errors.ts";
import { checkPrivateDir } from "../paths/ensure_dir.ts";
import type { Paths } from "../paths/paths.ts";
import { connectUnix } from "../transport/unix_client.ts";
import type { ByteLink } from "../transport/byte_link.ts";
import { DaemonClient } from "./daemon_client.ts";
import { daemonEnvironment } from "./daemon_environment.ts";
import type { BangerCommand } from "./start_daemon.ts";

/** What this program is, to be compared with what the daemon is. */
export type ClientVersion = DaemonVersion;

/** Connections that are tried: one may reach a daemon that is just ending. */
const attempts = 5;
const betweenAttemptsMs = 50;
/** How long a daemon that took the connection may take to say what it is. */
const pingTimeoutMs = 10_000;

/** How to reach the daemon. */
export interface ConnectOptions {
  readonly paths: Paths;
  /** Whether a daemon is started when none runs. */
  readonly start: "on_demand" | "never";
  /** How to start it. */
  readonly command: () => BangerCommand;
  /** The caller's environment; the daemon gets a short list of it. */
  readonly env: () => Readonly<Record<string, string | undefined>>;
  readonly own: ClientVersion;
  /** Told, at any time while the connection lasts, what the user should know. */
  readonly onNotice: (text: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Connects to this user's daemon, and starts it when there is none.
 *
 * @throws BangerError `unavailable` when none runs and none may be started; what the daemon failed
 * with when it cannot start; `precondition` when its directory is another user's
 */
export async function connect(options: ConnectOptions): Promise<DaemonClient> {
  const { paths, own, signal } = options;
  signal?.throwIfAborted();
  checkBase(paths);
  for (let attempt = 1;; attempt++) {
    const client = new DaemonClient(await reach(options));
    try {
      const daemon = await greet(client, own.build, signal);
      if (daemon.version !== own.version || daemon.commit !== own.commit) {
        options.onNotice(skewNotice(own, daemon));
      }
      return client;
    } catch (error) {
      client.close();
      if (attempt === attempts || !isBangerError(error, "unavailable")) throw error;
      await new Promise((resolve) => setTimeout(resolve, betweenAttemptsMs));
    }
  }
}

/** What the daemon is. @throws BangerError `unavailable` when it ends, `timeout` when it hangs */
async function greet(
  client: DaemonClient,
  ownBuild: string | null,
  signal?: AbortSignal,
): Promise<DaemonVersion> {
  const stop = new AbortController();
  const greeting = client.greet(
    ownBuild,
    signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
  );
  // Made while the daemon works on its answer. Not setTimeout: its first use loads Deno's timers,
  // which takes half as long as a whole start.
  const late = AbortSignal.timeout(pingTimeoutMs);
  const giveUp = () => {
    stop.abort(
      new BangerError("timeout", "Cannot reach the daemon: it does not answer", {
        hint: "banger daemon logs tells more",
      }),
    );
  };
  late.addEventListener("abort", giveUp);
  try {
    return await greeting;
  } finally {
    late.removeEventListener("abort", giveUp);
  }
}

async function reach(options: ConnectOptions): Promise<ByteLink> {
  try {
    return await connectUnix(options.paths.daemonSocket);
  } catch (error) {
    if (!isBangerError(error, "unavailable")) throw error;
    if (options.start === "never") {
      throw new BangerError("unavailable", "Cannot reach the daemon: it does not run", {
        hint: "banger starts it by itself when it is needed, for example: banger vm list",
        cause: error,
      });
    }
  }
  const { startDaemon } = await import("./start_daemon.ts");
  return await startDaemon({
    paths: options.paths,
    command: options.command(),
    env: daemonEnvironment(options.env()),
    signal: options.signal ?? new AbortController().signal,
  });
}

/** A socket below another user's directory would not be our daemon's. */
function checkBase(paths: Paths): void {
  try {
    checkPrivateDir(paths.runtimeBase, paths.uid);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function skewNotice(own: ClientVersion, daemon: ClientVersion): string {
  const words = ({ version, commit }: ClientVersion) => `${version} (${commit})`;
  return `The daemon is banger ${words(daemon)}, this is ${words(own)}. ` +
    "To change over (running VMs go on): banger daemon stop";
}
