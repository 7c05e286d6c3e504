import type { Server, Socket } from "node:net";
import { LoopbackConnection } from "./loopback_connection.ts";

/** Why a port cannot be had. `privileged`: only root may listen on it. */
export type ListenProblem = "taken" | "privileged" | "other";

/** A port of the host's loopback cannot be listened on. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly problem: ListenProblem;

  constructor(problem: ListenProblem, message: string) {
    super(message);
    this.problem = problem;
  }
}

/** A port of the host's loopback on which connections are taken. */
export interface LoopbackListener {
  readonly port: number;
  /** Takes no more connections; those that were taken stay. The port is free at once. Idempotent. */
  close(): void;
}

/**
 * Connections that wait in the kernel. They are all taken at once, each with a descriptor, before the first of them
 * can be refused: a crowd is to be no more than some.
 */
const backlog = 64;

/** How often it is looked whether a listener still takes connections, and how long that may take. */
export const probeTimes = { everyMs: 30_000, answerMs: 5_000 } as const;

/**
 * Listens on a TCP port of 127.0.0.1, and on no other address: the one place where banger does. Connections are
 * given to `onConnection` as they come; nothing is read from one before it asks.
 *
 * @throws ListenError
 */
export async function listenOnLoopback(
  port: number,
  onConnection: (connection: LoopbackConnection) => void,
  times: { readonly everyMs: number; readonly answerMs: number } = probeTimes,
): Promise<LoopbackListener> {
  // Deno's own sockets cannot be reset; this module is loaded when the first port is published.
  const net = await import("node:net");
  const probe = new Probe(port);
  const take = async (socket: Socket) => {
    const { remotePort } = socket;
    const connection = new LoopbackConnection(socket);
    if (await probe.isOwn(remotePort)) connection.abort();
    else onConnection(connection);
  };
  const listen = () => listening(net, port, (socket) => void take(socket));
  let server = await listen();
  let isClosed = false;
  const timer = setInterval(async () => {
    if (await probe.isAnswered(times.answerMs) || isClosed) return;
    server.close();
    // Taken by another program in this moment, it is tried again next time.
    server = await listen().catch(() => server);
    if (isClosed) server.close();
  }, times.everyMs);
  return {
    port,
    close: () => {
      isClosed = true;
      clearInterval(timer);
      server.close();
    },
  };
}

/**
 * Finds out by trying whether connections are taken. Deno's `node:net` takes none any more, and tells nobody, after
 * the kernel once had no descriptor for one (accept(2), EMFILE).
 */
class Probe {
  readonly #port: number;
  /** Own port of the connection that is being tried; `null`: there is none. */
  #own: Promise<number | null> | undefined;
  #answer = () => {};

  constructor(port: number) {
    this.#port = port;
  }

  /** Whether a connection that came from `port` is the one that is being tried. */
  async isOwn(port: number | undefined): Promise<boolean> {
    if (this.#own === undefined || await this.#own !== port) return false;
    this.#answer();
    return true;
  }

  /** False when a connection is made and not taken in time, and when nobody listens. Never rejects. */
  async isAnswered(withinMs: number): Promise<boolean> {
    if (this.#own !== undefined) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), withinMs);
    this.#answer = () => resolve(true);
    const connecting = Deno.connect({ hostname: "127.0.0.1", port: this.#port });
    this.#own = connecting.then(({ localAddr }) => localAddr.port, () => null);
    try {
      using _connection = await connecting;
      return await promise;
    } catch (error) {
      // Without a descriptor nothing is known: it is tried again.
      return !(error instanceof Deno.errors.ConnectionRefused);
    } finally {
      clearTimeout(timer);
      this.#own = undefined;
    }
  }
}

async function listening(
  { createServer }: typeof import("node:net"),
  port: number,
  onSocket: (socket: Socket) => void,
): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.on("connection", onSocket);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.once("listening", resolve);
  try {
    server.listen({ host: "127.0.0.1", port, exclusive: true, backlog });
    await promise;
  } catch (error) {
    throw listenError(error);
  } finally {
    server.off("error", reject);
  }
  server.on("error", () => {});
  return server;
}

function listenError(error: unknown): ListenError {
  const message = error instanceof Error ? error.message : String(error);
  const code = (error as { code?: unknown }).code;
  const problem = code === "EADDRINUSE" ? "taken" : code === "EACCES" ? "privileged" : "other";
  return new ListenError(problem, message);
}
