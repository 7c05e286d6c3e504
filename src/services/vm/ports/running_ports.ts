import { reasonOf } from "../../../model/errors.ts";
import { portLimits, type PublishedPort } from "../../../model/published_port.ts";
import type { AgentSession } from "../../../guest/agent_session.ts";
import type { Lanes } from "../lanes/lanes.ts";
import type { BoundPort } from "./bound_port.ts";
import { type HostConnection, relayConnection } from "./relay_connection.ts";

/** Why a port of the host leads to the guest. */
export type ForwardReason = "published" | "auto";

/** A port of the host that leads to the guest now. */
export interface Forward extends PublishedPort {
  readonly reason: ForwardReason;
}

/** What {@linkcode RunningPorts} needs. */
export interface RunningPortsDeps {
  /** The session with the VM's agent as it is now. */
  readonly session: () => Pick<AgentSession, "open">;
  readonly lanes: Pick<Lanes, "lease">;
  /** Counts the connections of all VMs; `HostPorts`. */
  readonly connections: { takeConnection(): boolean; releaseConnection(): void };
  readonly warn: (text: string) => void;
}

interface Entry {
  readonly bound: BoundPort;
  readonly reason: ForwardReason;
  readonly open: Set<HostConnection>;
}

/**
 * The ports of the host that lead to one running VM. Each connection is a stream of the agent link; over the
 * bounds of `portLimits` new ones are reset. Changes only under the VM's lock, but for those of `--auto-ports`.
 */
export class RunningPorts {
  readonly #deps: RunningPortsDeps;
  readonly #entries = new Map<number, Entry>();
  /** What was said already: a client that comes again and again fills no log. */
  readonly #warnings = new Set<string>();
  #connections = 0;
  #accepted = 0;
  #revision = 0;
  readonly #end = new AbortController();
  #changed = Promise.withResolvers<void>();

  constructor(deps: RunningPortsDeps) {
    this.#deps = deps;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#connections;
  }

  /** Connections that have come so far: tells whether the ports were used meanwhile. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Grows with every port that opens or closes. */
  get revision(): number {
    return this.#revision;
  }

  /** Settles when {@linkcode revision} has grown, and when the VM ends. */
  get changed(): Promise<void> {
    return this.#changed.promise;
  }

  /** Aborts when the VM ends, or the daemon lets go of it. */
  get ended(): AbortSignal {
    return this.#end.signal;
  }

  /** By host port. */
  list(): Forward[] {
    return [...this.#entries.values()].map(({ bound, reason }) => ({ ...bound.port, reason }))
      .sort((a, b) => a.hostPort - b.hostPort);
  }

  /** Lets `bound` lead to the guest; it is closed with all others when the VM ends. */
  open(bound: BoundPort, reason: ForwardReason): void {
    if (this.ended.aborted) return bound.close();
    const entry: Entry = { bound, reason, open: new Set() };
    this.#entries.set(bound.port.hostPort, entry);
    this.#tell();
    bound.serve((connection) => void this.#relay(entry, connection));
  }

  /** Frees a port of the host and resets its connections; nothing happens when it leads nowhere. */
  close(hostPort: number): void {
    const entry = this.#entries.get(hostPort);
    if (entry === undefined) return;
    this.#entries.delete(hostPort);
    entry.bound.close();
    for (const connection of entry.open) connection.abort();
    this.#tell();
  }

  /** Closes all; none is opened any more. */
  closeAll(): void {
    this.#end.abort();
    for (const hostPort of [...this.#entries.keys()]) this.close(hostPort);
    this.#changed.resolve();
  }

  #tell(): void {
    this.#revision += 1;
    this.#changed.resolve();
    if (!this.ended.aborted) this.#changed = Promise.withResolvers();
  }

  #warn(text: string): void {
    if (this.#warnings.has(text)) return;
    this.#warnings.add(text);
    this.#deps.warn(text);
  }

  async #relay(entry: Entry, connection: HostConnection): Promise<void> {
    this.#accepted += 1;
    const { connections } = this.#deps;
    if (this.#connections >= portLimits.connections || !connections.takeConnection()) {
      connection.abort();
      return;
    }
    this.#connections += 1;
    entry.open.add(connection);
    try {
      const { guestPort } = entry.bound.port;
      const stream = this.#deps.session().open({ method: "forward", port: guestPort });
      await relayConnection(connection, stream, this.#deps.lanes);
    } catch (error) {
      // The session has ended, and soon the VM; or more streams than one carries are open.
      connection.abort();
      this.#warn(`Connections are refused: ${reasonOf(error)}`);
    } finally {
      entry.open.delete(connection);
      this.#connections -= 1;
      connections.releaseConnection();
    }
  }
}
