import type { PublishedPort } from "../../../model/published_port.ts";
import type { LoopbackListener } from "../../../net/loopback_listener.ts";
import type { HostConnection } from "./relay_connection.ts";

/** Connections that may wait for a VM that is being started. */
const maxWaiting = 16;

/** A way to listen on the host's loopback; `listenOnLoopback`. */
export type Listen = (
  port: number,
  onConnection: (connection: HostConnection) => void,
) => Promise<LoopbackListener>;

/** A host port that is held, and what it leads to. Connections wait until somebody serves them. */
export class BoundPort {
  readonly port: PublishedPort;
  readonly #listener: LoopbackListener;
  readonly #onClosed: () => void;
  #waiting: HostConnection[] = [];
  #serve: ((connection: HostConnection) => void) | undefined;
  #isClosed = false;

  private constructor(port: PublishedPort, listener: LoopbackListener, onClosed: () => void) {
    this.port = port;
    this.#listener = listener;
    this.#onClosed = onClosed;
  }

  /** @throws ListenError */
  static async bind(
    port: PublishedPort,
    listen: Listen,
    onClosed: () => void = () => {},
  ): Promise<BoundPort> {
    const early: HostConnection[] = [];
    let take = (connection: HostConnection): void => void early.push(connection);
    const listener = await listen(port.hostPort, (connection) => take(connection));
    const bound = new BoundPort(port, listener, onClosed);
    take = (connection) => bound.#take(connection);
    early.forEach(take);
    return bound;
  }

  /** Hands connections to `serve` from now on, those that wait first. */
  serve(serve: (connection: HostConnection) => void): void {
    this.#serve = serve;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const connection of waiting) serve(connection);
  }

  /** Frees the port and resets connections that nobody serves. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.close();
    for (const connection of this.#waiting) connection.abort();
    this.#waiting = [];
    this.#onClosed();
  }

  #take(connection: HostConnection): void {
    if (this.#serve !== undefined) this.#serve(connection);
    else if (this.#isClosed || this.#waiting.length >= maxWaiting) connection.abort();
    else this.#waiting.push(connection);
  }
}

/** Closes all of them. */
export function closeAll(bound: readonly BoundPort[]): void {
  for (const port of bound) port.close();
}
