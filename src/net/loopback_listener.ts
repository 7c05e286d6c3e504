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
 * Listens on a TCP port of 127.0.0.1, and on no other address: the one place where banger does. Connections are
 * given to `onConnection` as they come; nothing is read from one before it asks.
 *
 * @throws ListenError
 */
export async function listenOnLoopback(
  port: number,
  onConnection: (connection: LoopbackConnection) => void,
): Promise<LoopbackListener> {
  // Deno's own sockets cannot be reset; this module is loaded when the first port is published.
  const { createServer } = await import("node:net");
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.on("connection", (socket: Socket) => onConnection(new LoopbackConnection(socket)));
  await listening(server, port);
  // What fails from now on is one connection's, such as that no descriptor is left.
  server.on("error", () => {});
  return {
    port,
    close: () => {
      if (server.listening) server.close();
    },
  };
}

async function listening(server: Server, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.once("listening", resolve);
  try {
    server.listen({ host: "127.0.0.1", port, exclusive: true });
    await promise;
  } catch (error) {
    throw listenError(error);
  } finally {
    server.off("error", reject);
  }
}

function listenError(error: unknown): ListenError {
  const message = error instanceof Error ? error.message : String(error);
  const code = (error as { code?: unknown }).code;
  const problem = code === "EADDRINUSE" ? "taken" : code === "EACCES" ? "privileged" : "other";
  return new ListenError(problem, message);
}
