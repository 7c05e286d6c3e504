/**
 * The owner daemon's frame: the broker on the main thread, one narrow Worker that serves, and the
 * composition root.
 *
 * The main thread has every permission and therefore does as little as possible: it locks the state
 * directory, makes directories, starts the Worker, and starts or signals VMMs for it. Must not be
 * imported by anything but `main.ts`.
 */
import { toWireError } from "../api/codec.ts";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load_config.ts";
import { FileSink } from "../log/file_sink.ts";
import { BangerError, isBangerError, reasonOf } from "../model/errors.ts";
import { ensureOwnerDirs } from "../paths/ensure_dir.ts";
import { pathsInput } from "../paths/environment.ts";
import { Paths } from "../paths/paths.ts";
import { readTscFrequencyKhz } from "../process/tsc_frequency.ts";
import { LocalProcesses } from "../process/local_processes.ts";
import { whenPassed } from "../sync/when_passed.ts";
import { buildInfo } from "../version/build_info.ts";
import { netFilterProgram } from "../version/net_filter_program.ts";
import { Broker } from "./broker.ts";
import type { WorkerInit } from "./broker_protocol.ts";
import { takeDaemonLock } from "./daemon_lock.ts";
import { LocalHost } from "./local_host.ts";
import { workerPermissions } from "./worker_permissions.ts";

/** Exit codes: served and ended in order; failed; usage; the host is not in the needed state. */
const exitCodes = { ok: 0, failed: 1, usage: 2, precondition: 5 } as const;

/** How long after its start the daemon needs no more memory than it will always need. */
const settledAfterMs = 1000;

/** Serves until told to stop and resolves to the exit code. `argv` starts with `daemon run`. */
export async function runDaemon(argv: readonly string[]): Promise<number> {
  const unknown = argv.slice(2).find((word) => word !== "--verbose");
  if (unknown !== undefined) {
    writeError(
      new BangerError("invalid", `Cannot run the daemon: there is no option "${unknown}"`),
    );
    return exitCodes.usage;
  }
  Deno.umask(0o077);
  let paths: Paths | undefined;
  try {
    const input = pathsInput();
    const checked = new Paths(input);
    ensureOwnerDirs(checked);
    // Only now: not even the log is written into a directory that may be another user's.
    paths = checked;
    using lock = takeDaemonLock(paths.daemonLock);
    if (lock === undefined) return exitCodes.ok;
    const config = await loadConfig(paths.configFile, navigator.hardwareConcurrency);
    const init: WorkerInit = {
      type: "init",
      pathsInput: input,
      config,
      build: buildInfo(),
      pid: Deno.pid,
      startedAtMs: Date.now(),
      logTo: logTarget(),
      verbose: argv.includes("--verbose"),
      hostTscKhz: readTscFrequencyKhz(),
      proxyEnv: readProxyEnv(),
    };
    return await serve(paths, config, init);
  } catch (error) {
    writeError(error);
    if (paths !== undefined) writeToLog(paths, error);
    return isBangerError(error, "precondition") ? exitCodes.precondition : exitCodes.failed;
  }
}

async function serve(paths: Paths, config: Config, init: WorkerInit): Promise<number> {
  const codeDir = decodeURIComponent(new URL(".", Deno.mainModule).pathname).replace(/\/$/, "");
  const host = new LocalHost(paths.uid, paths.daemonSocket);
  host.closeInherited();
  const broker = new Broker({
    paths,
    init,
    host,
    permissions: await workerPermissions(paths, config, codeDir),
    processes: new LocalProcesses({
      ...(config.qemuBin === null ? {} : { qemuBin: config.qemuBin }),
      netFilter: netFilterProgram(),
    }),
    workerUrl: Deno.mainModule,
  });
  // The Worker is loading its code now, and this thread has nothing else to do.
  void host.lookAhead(hasEntries(paths.vmsDir));
  const onSignal = () => broker.shutDown();
  const ignore = () => {};
  Deno.addSignalListener("SIGTERM", onSignal);
  Deno.addSignalListener("SIGINT", onSignal);
  Deno.addSignalListener("SIGHUP", ignore);
  try {
    await broker.ready();
    writePid(paths);
    whenPassed(settledAfterMs, () => host.trimMemory());
    const clean = await broker.ended;
    await Deno.remove(paths.daemonPid).catch(() => {});
    return clean ? exitCodes.ok : exitCodes.failed;
  } finally {
    broker.terminate();
    host.close();
    Deno.removeSignalListener("SIGTERM", onSignal);
    Deno.removeSignalListener("SIGINT", onSignal);
    Deno.removeSignalListener("SIGHUP", ignore);
  }
}

/** In this thread: the streams that an asynchronous write loads take 5 ms. */
function writePid({ daemonPid }: Paths): void {
  Deno.writeTextFileSync(daemonPid, `${Deno.pid}\n`, { mode: 0o600 });
}

function hasEntries(dir: string): boolean {
  for (const _entry of Deno.readDirSync(dir)) return true;
  return false;
}

/** Proxy variables in either spelling, under the names that apt and curl take. */
function readProxyEnv(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of ["http_proxy", "https_proxy", "no_proxy"]) {
    const value = Deno.env.get(name) ?? Deno.env.get(name.toUpperCase());
    if (value !== undefined && value !== "") found[name] = value;
  }
  return found;
}

function logTarget(): WorkerInit["logTo"] {
  if (Deno.env.has("JOURNAL_STREAM")) return "journald";
  return Deno.stderr.isTerminal() ? "terminal" : "file";
}

/** One line for people; for a client that started us, the same as JSON, which it takes apart. */
function writeError(error: unknown): void {
  const wire = toWireError(error);
  const text = Deno.env.has("BANGER_ON_DEMAND")
    ? JSON.stringify(wire)
    : `banger: ${wire.message}${wire.hint === null ? "" : `\nhint: ${wire.hint}`}`;
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
  } catch {
    // Whoever started us is gone.
  }
}

function writeToLog(paths: Paths, error: unknown): void {
  using sink = new FileSink({ path: paths.daemonLog });
  sink.write(`${new Date().toISOString()} error   daemon: ${reasonOf(error)}`, "error");
}
