import { createServer, type Server, type Socket } from "node:net";
import { BangerError, reasonOf } from "../model/errors.ts";
import type { ByteLink } from "./byte_link.ts";
import { NodeLink } from "./node_link.ts";

/** A connection that was let in. */
export interface ServerConnection {
  readonly link: ByteLink;
  /** Resolves when the socket is closed, whoever closed it and whatever was spoken on it. */
  readonly closed: Promise<void>;
}

/** How a {@linkcode UnixServer} serves. */
export interface UnixServerOptions {
  readonly path: string;
  /**
   * Says whether the process at the other end may come in. `fd` is the connection's descriptor,
   * `undefined` when it cannot be told. A connection is refused unless this resolves to true.
   */
  readonly admit: (fd: number | undefined) => Promise<boolean>;
  readonly onConnection: (connection: ServerConnection) => void;
  /** Told about each connection that was not let in. */
  readonly onRefused: (reason: string) => void;
  readonly maxConnections: number;
}

/** A server on a Unix socket that only its owner can connect to. */
export class UnixServer {
  readonly #server: Server;
  readonly #path: string;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, path: string) {
    this.#server = server;
    this.#path = path;
  }

  /** How many connections there are, those being checked included. */
  get connectionCount(): number {
    return this.#sockets.size;
  }

  /**
   * Listens at `path`, in place of a socket that a dead server left. The process's umask must be
   * 077, so that the socket is closed to others from its first moment.
   *
   * @throws BangerError `conflict` when another server answers there, `precondition` when the path
   * cannot be used
   */
  static async listen(options: UnixServerOptions): Promise<UnixServer> {
    await removeStaleSocket(options.path);
    const server = createServer();
    const self = new UnixServer(server, options.path);
    server.on("connection", (socket: Socket) => self.#accept(socket, options));
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause: unknown) => reject(cannotListen(options.path, cause)));
      server.listen(options.path, resolve);
    });
    server.on("error", (error: unknown) => options.onRefused(reasonOf(error)));
    try {
      Deno.chmodSync(options.path, 0o600);
    } catch (cause) {
      await self.close();
      throw cannotListen(options.path, cause);
    }
    return self;
  }

  /** Stops listening, removes the socket and ends every connection. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    removeIfThere(this.#path);
  }

  async #accept(socket: Socket, options: UnixServerOptions): Promise<void> {
    if (this.#sockets.size >= options.maxConnections) {
      socket.destroy();
      options.onRefused("too many connections");
      return;
    }
    this.#sockets.add(socket);
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    closed.then(() => this.#sockets.delete(socket));
    // Listens from now on: bytes that arrive during the check wait in the link.
    const link = new NodeLink(socket);
    let refusal: string | undefined;
    try {
      if (!await options.admit(descriptorOf(socket))) refusal = "the peer is another user";
    } catch (error) {
      refusal = `the peer cannot be checked: ${reasonOf(error)}`;
    }
    if (refusal === undefined) return options.onConnection({ link, closed });
    link.close();
    options.onRefused(refusal);
  }
}

/** `_handle.fd` is no public API: a test pins it, and without it nobody is let in. */
function descriptorOf(socket: Socket): number | undefined {
  const handle = (socket as { readonly _handle?: { readonly fd?: unknown } })._handle;
  const fd = handle?.fd;
  return typeof fd === "number" && Number.isInteger(fd) && fd >= 0 ? fd : undefined;
}

async function removeStaleSocket(path: string): Promise<void> {
  try {
    const conn = await Deno.connect({ transport: "unix", path });
    conn.close();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return;
    // Linux refuses the connection to a file that is no socket, too; that one is not ours to remove.
    const stale = cause instanceof Deno.errors.ConnectionRefused &&
      (await Deno.lstat(path)).isSocket;
    if (stale) return removeIfThere(path);
    throw cannotListen(path, cause);
  }
  throw new BangerError("conflict", `Cannot listen at "${path}": another process does`, {
    hint: "banger daemon status",
  });
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cannotListen(path, cause);
  }
}

function cannotListen(path: string, cause: unknown): BangerError {
  return new BangerError("precondition", `Cannot listen at "${path}": ${reasonOf(cause)}`, {
    hint: "Check owner and mode of the directory",
    cause,
  });
}
