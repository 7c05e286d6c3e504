import { BangerError, reasonOf } from "../model/errors.ts";
import type { ByteLink } from "./byte_link.ts";
import { DenoLink } from "./deno_link.ts";

/** A connection that was let in. */
export interface ServerConnection {
  readonly link: ByteLink;
  /** Resolves when `link` is closed: who reads `null` from it closes it, whatever was spoken on it. */
  readonly closed: Promise<void>;
}

/** How a {@linkcode UnixServer} serves. */
export interface UnixServerOptions {
  readonly path: string;
  /**
   * Says whether whoever is at the other end of the server's connections may be there, the newest
   * one included. A connection is refused unless this resolves to true.
   */
  readonly admit: () => Promise<boolean>;
  readonly onConnection: (connection: ServerConnection) => void;
  /** Told about each connection that was not let in. */
  readonly onRefused: (reason: string) => void;
  readonly maxConnections: number;
}

/** How long nothing is accepted after that failed (no descriptor is left, accept(2)). */
const pauseMs = 100;

/** A server on a Unix socket that only its owner can connect to. */
export class UnixServer {
  readonly #listener: Deno.Listener<Deno.UnixConn>;
  readonly #options: UnixServerOptions;
  readonly #links = new Set<ByteLink>();
  readonly #accepting: Promise<void>;
  #closing = false;

  private constructor(listener: Deno.Listener<Deno.UnixConn>, options: UnixServerOptions) {
    this.#listener = listener;
    this.#options = options;
    this.#accepting = this.#acceptAll();
  }

  /** How many connections there are, those being checked included. */
  get connectionCount(): number {
    return this.#links.size;
  }

  /**
   * Listens at `path`, in place of a socket that a dead server left. The process's umask must be
   * 077, so that the socket is closed to others from its first moment.
   *
   * @throws BangerError `conflict` when another server answers there, `precondition` when the path
   * cannot be used
   */
  static async listen(options: UnixServerOptions): Promise<UnixServer> {
    const { path } = options;
    await removeStaleSocket(path);
    let listener: Deno.Listener<Deno.UnixConn> | undefined;
    try {
      listener = Deno.listen({ transport: "unix", path });
      Deno.chmodSync(path, 0o600);
      return new UnixServer(listener, options);
    } catch (cause) {
      if (listener !== undefined) {
        listener.close();
        removeIfThere(path);
      }
      throw cannotListen(path, cause);
    }
  }

  /** Stops listening, removes the socket and ends every connection. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#listener.close();
    for (const link of this.#links) link.close();
    await this.#accepting;
    removeIfThere(this.#options.path);
  }

  async #acceptAll(): Promise<void> {
    while (!this.#closing) {
      try {
        this.#accept(await this.#listener.accept());
      } catch (error) {
        if (this.#closing) return;
        this.#options.onRefused(reasonOf(error));
        await pause();
      }
    }
  }

  async #accept(conn: Deno.UnixConn): Promise<void> {
    const { maxConnections, admit, onConnection, onRefused } = this.#options;
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const link: ByteLink = new DenoLink(conn, () => {
      this.#links.delete(link);
      resolve();
    });
    if (this.#closing) return link.close();
    this.#links.add(link);
    if (this.#links.size > maxConnections) {
      link.close();
      return onRefused("too many connections");
    }
    let refusal: string | undefined;
    try {
      if (!await admit()) refusal = "the peer is another user";
    } catch (error) {
      refusal = `the peer cannot be checked: ${reasonOf(error)}`;
    }
    if (refusal === undefined) return onConnection({ link, closed });
    link.close();
    onRefused(refusal);
  }
}

/** Not by setTimeout: nothing else in this folder needs Deno's timers, which take memory for good. */
function pause(): Promise<void> {
  return new Promise((resolve) => {
    AbortSignal.timeout(pauseMs).addEventListener("abort", () => resolve(), { once: true });
  });
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
