import { toWireError } from "../api/codec.ts";
import { BangerError, isBangerError, reasonOf } from "../model/errors.ts";
import { type Logger, logOf } from "../log/log.ts";
import { Paths } from "../paths/paths.ts";
import { Operations } from "../services/operation/operations.ts";
import { Store } from "../store/store.ts";
import { Locks } from "../sync/locks.ts";
import { UnixServer } from "../transport/unix_server.ts";
import type { BrokerClient } from "./broker_client.ts";
import type { WorkerInit } from "./broker_protocol.ts";
import { ClientConnection } from "./client_connection.ts";
import { composeServices } from "./compose.ts";
import { dispatcher, errorEncoder } from "./dispatcher.ts";
import type { Handlers } from "./handler_table.ts";
import { type OwnFacts, ownHandlers } from "./own_handlers.ts";
import { PeerCheck } from "./peer_check.ts";
import { refusingHandlers } from "./refusing_services.ts";
import type { Services } from "./service_deps.ts";

/** Most clients at once. */
const maxConnections = 1024;
/** How long operations may unwind when the daemon ends. */
const drainTimeoutMs = 8_000;
/** Time for the answer to `daemon.stop` to leave. */
const lastAnswerMs = 20;

/** The daemon's services behind its socket, from start to end. Runs in the Worker. */
export class Serving {
  readonly #log: Logger = logOf("daemon");
  readonly #stop = new AbortController();
  readonly #paths: Paths;
  readonly #init: WorkerInit;
  readonly #broker: BrokerClient;
  readonly #onEnded: (clean: boolean) => void;
  #store: Store | undefined;
  #operations: Operations | undefined;
  #services: Services | undefined;
  #server: UnixServer | undefined;
  readonly #peers: PeerCheck;
  #nextConnectionId = 1;

  constructor(init: WorkerInit, broker: BrokerClient, onEnded: (clean: boolean) => void) {
    this.#init = init;
    this.#paths = new Paths(init.pathsInput);
    this.#broker = broker;
    this.#onEnded = onEnded;
    // Root may do everything here anyway; `sudo banger …` gets its own daemon, though.
    this.#peers = new PeerCheck(this.#paths.uid, () => broker.peerUids());
  }

  /** Opens the store, builds the services and listens. @throws BangerError when it cannot listen */
  async start(): Promise<void> {
    const handlers = await this.#buildHandlers();
    const dispatch = dispatcher(handlers);
    const encodeError = errorEncoder(this.#log);
    this.#server = await UnixServer.listen({
      path: this.#paths.daemonSocket,
      maxConnections,
      admit: () => this.#peers.areOwn(),
      onRefused: (reason) => this.#log.warn("A connection was refused", { reason }),
      onConnection: (connection) => {
        new ClientConnection(connection, {
          id: this.#nextConnectionId++,
          dispatch,
          encodeError,
          isEnding: () => this.#stop.signal.aborted,
        });
      },
    });
    await this.#broker.sealDescriptors();
    this.#log.info("Serving", {
      socket: this.#paths.daemonSocket,
      version: this.#init.build.version,
      commit: this.#init.build.commit,
    });
    this.#services?.start().catch((error) => this.#logDefect("The services cannot start", error));
  }

  /** Ends in order: operations unwind, services let go, VMs stay. Idempotent. */
  async shutDown(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#log.info("Ending");
    let clean = true;
    const step = async (what: string, body: () => Promise<unknown> | undefined) => {
      try {
        await body();
      } catch (error) {
        clean = false;
        this.#logDefect(what, error);
      }
    };
    await step("Operations did not unwind", async () => {
      clean = await this.#operations?.drain(drainTimeoutMs) ?? true;
    });
    await step("The services did not close", () => this.#services?.close());
    // Before the socket, whose end tells clients that nobody works on the store any more.
    await step("The store did not close", () => Promise.resolve(this.#store?.close()));
    await step("The socket did not close", () => this.#server?.close());
    this.#log.info("Ended", { clean });
    this.#onEnded(clean);
  }

  async #buildHandlers(): Promise<Handlers> {
    const startMs = performance.now();
    let storeError: Error | undefined;
    try {
      this.#store = Store.open(this.#paths);
    } catch (error) {
      storeError = error instanceof Error ? error : new Error(reasonOf(error));
      this.#log.error("The store cannot be used", { error: storeError.message });
    }
    const operations = this.#operations = new Operations({
      archive: this.#store?.operations ?? noArchive,
      nowMs: Date.now,
      monotonicMs: () => performance.now(),
      onArchiveFailure: (error) => this.#logDefect("An operation was not recorded", error),
    });
    const own = ownHandlers(this.#ownFacts(), operations);
    if (this.#store === undefined) {
      const error = storeError ?? new Error("no store");
      // What is wrong with the disk may be over when the command is run again; with the file it is not.
      const mayPass = !isBangerError(error) || error.code === undefined;
      return refusingHandlers(own, error, () => mayPass && this.#endSoon());
    }
    const interrupted = this.#store.operations.failInterrupted(Date.now(), interruptedError);
    if (interrupted > 0) this.#log.warn("Operations were interrupted", { interrupted });
    operations.prune();
    this.#services = await composeServices({
      paths: this.#paths,
      config: this.#init.config,
      build: this.#init.build,
      store: this.#store,
      locks: new Locks(),
      operations,
      processes: this.#broker,
      memory: this.#broker,
      flatten: this.#broker.flatten,
      host: this.#broker,
      logOf,
      hostTscKhz: this.#init.hostTscKhz,
      proxyEnv: this.#init.proxyEnv,
      nowMs: Date.now,
      monotonicMs: () => performance.now(),
      signal: this.#stop.signal,
    });
    this.#log.debug("Services are built", { tookMs: Math.round(performance.now() - startMs) });
    return { ...this.#services.handlers, ...own };
  }

  #ownFacts(): OwnFacts {
    return {
      version: this.#init.build.version,
      commit: this.#init.build.commit,
      build: this.#init.build.build,
      pid: this.#init.pid,
      startedAtMs: this.#init.startedAtMs,
      socketPath: this.#paths.daemonSocket,
      stateDir: this.#paths.stateDir,
      logPath: this.#paths.daemonLog,
      runningVms: () => this.#services?.runningVms() ?? 0,
      rssBytes: () => Deno.memoryUsage().rss,
      shutDown: () => this.#endSoon(),
    };
  }

  /** The answer to whoever asks now still leaves. */
  #endSoon(): void {
    setTimeout(() => this.shutDown(), lastAnswerMs);
  }

  #logDefect(what: string, error: unknown): void {
    const words = isBangerError(error) ? error.message : (error as Error)?.stack ?? String(error);
    this.#log.error(what, { error: words });
  }
}

const interruptedError = toWireError(
  new BangerError("unavailable", "Stopped: the daemon ended while it ran", {
    hint: "What it left was put in order; run the command again",
  }),
);

const noArchive = {
  save: () => {},
  find: () => undefined,
  list: () => [],
  prune: () => 0,
};
