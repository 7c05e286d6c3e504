/**
 * Ports of the host's loopback that lead to guests: choosing and holding them, relaying connections, publishing
 * and taking back, and those that come by themselves.
 *
 * Owns no sockets of its own (`src/net` does) and no rows. Must not import another service, a capability or
 * the daemon.
 */
import { BangerError } from "../../../model/errors.ts";
import type { VmId } from "../../../model/ids.ts";
import {
  portLimits,
  publishAddress,
  type PublishedPort,
  type WantedPort,
} from "../../../model/published_port.ts";
import { activeStates, type VmRecord } from "../../../model/vm.ts";
import { ListenError } from "../../../net/loopback_listener.ts";
import { BoundPort, closeAll, type Listen } from "./bound_port.ts";

/** What {@linkcode HostPorts} needs. */
export interface HostPortsDeps {
  readonly listen: Listen;
  /** All VMs. */
  readonly vms: () => readonly VmRecord[];
}

/** Whose the ports are that are to be had. */
export interface PortOwner {
  /** `null`: it has no row yet. */
  readonly id: VmId | null;
  readonly name: string;
}

/** A port that cannot be had, and what is said of it. */
export interface PortProblem {
  readonly port: WantedPort;
  readonly error: BangerError;
}

/** Ports that are held, or why none is. */
export interface HeldPorts {
  readonly bound: readonly BoundPort[];
  readonly problems: readonly PortProblem[];
}

/**
 * Where a port goes whose own number cannot be had: above what services use, and below what the kernel gives to
 * outgoing connections (from 32768 on), so that the number is likely to be free at the next start, too.
 */
const spare = { first: 20_000, count: 10_000, tries: 200 } as const;

/** Numbers below this are for root only, unless the host says otherwise. */
const firstUnprivileged = 1024;

/**
 * Ports of the host's loopback for VMs: chooses and holds them. A port belongs to the VM in whose row it is, also
 * while that does not run. Holds no lock: who records what was bound does so under createVmLock.
 */
export class HostPorts {
  readonly #deps: HostPortsDeps;
  /** Ports that `--auto-ports` holds, with the VM's name. */
  readonly #auto = new Map<number, string>();
  #connections = 0;

  constructor(deps: HostPortsDeps) {
    this.#deps = deps;
  }

  /** Takes one of the connections that may be open at once; false when there are too many. */
  takeConnection(): boolean {
    if (this.#connections >= portLimits.connectionsInAll) return false;
    this.#connections += 1;
    return true;
  }

  /** Gives it back. */
  releaseConnection(): void {
    this.#connections -= 1;
  }

  /**
   * Holds a port of the host for each of `wanted`, in their order, or for none.
   *
   * @throws BangerError `conflict` when another VM or program has one, `precondition` when it is root's
   */
  async bind(owner: PortOwner, wanted: readonly WantedPort[]): Promise<readonly BoundPort[]> {
    const { bound, problems } = await this.hold(owner, wanted);
    if (problems[0] !== undefined) throw problems[0].error;
    return bound;
  }

  /** As {@linkcode bind}, but tells all that cannot be had; none is held then. */
  async hold(owner: PortOwner, wanted: readonly WantedPort[]): Promise<HeldPorts> {
    const bound = new Map<WantedPort, BoundPort>();
    const problems: PortProblem[] = [];
    const take = async (port: WantedPort, binding: Promise<BoundPort>) => {
      try {
        bound.set(port, await binding);
      } catch (error) {
        if (!(error instanceof BangerError)) throw error;
        problems.push({ port, error });
      }
    };
    try {
      // Those with a number first: a chosen one must not take it from them.
      for (const port of wanted) {
        if (isFixed(port)) await take(port, this.#bindFixed(owner, port));
      }
      for (const port of wanted) {
        if (!isFixed(port)) await take(port, this.#bindChosen(owner, port.guestPort));
      }
    } catch (error) {
      closeAll([...bound.values()]);
      throw error;
    }
    if (problems.length === 0) return { bound: wanted.map((port) => bound.get(port)!), problems };
    closeAll([...bound.values()]);
    return { bound: [], problems };
  }

  /** Holds a port for `--auto-ports`, never one below 1024; `null` when there is none. */
  async bindAuto(name: string, guestPort: number): Promise<BoundPort | null> {
    if (this.#auto.size >= portLimits.autoInAll) return null;
    const owned = this.#owned();
    for (const hostPort of candidates(guestPort)) {
      if (hostPort < firstUnprivileged || owned.has(hostPort) || this.#auto.has(hostPort)) continue;
      this.#auto.set(hostPort, name);
      try {
        const port = { hostPort, guestPort };
        return await BoundPort.bind(port, this.#deps.listen, () => this.#auto.delete(hostPort));
      } catch (error) {
        this.#auto.delete(hostPort);
        if (!isTaken(error)) return null;
      }
    }
    return null;
  }

  async #bindFixed(owner: PortOwner, port: PublishedPort): Promise<BoundPort> {
    const { hostPort } = port;
    const other = this.#owned().get(hostPort);
    if (other !== undefined && other.id !== owner.id) {
      throw new BangerError(
        "conflict",
        `Cannot publish port ${hostPort} of VM "${owner.name}": VM "${other.config.name}" publishes it`,
        {
          hint: `banger vm ports unpublish ${other.config.name} ${hostPort}:${
            guestPortOf(other, hostPort)
          }, or choose another number: ${elsewhere(port)}`,
        },
      );
    }
    try {
      return await BoundPort.bind(port, this.#deps.listen);
    } catch (error) {
      throw this.#refusal(owner, port, error);
    }
  }

  async #bindChosen(owner: PortOwner, guestPort: number): Promise<BoundPort> {
    const owned = this.#owned();
    for (const hostPort of candidates(guestPort)) {
      if (owned.has(hostPort)) continue;
      try {
        return await BoundPort.bind({ hostPort, guestPort }, this.#deps.listen);
      } catch (error) {
        if (!isTaken(error)) throw this.#refusal(owner, { hostPort, guestPort }, error);
      }
    }
    throw new BangerError(
      "exhausted",
      `Cannot publish port ${guestPort} of VM "${owner.name}": the host has no free port for it`,
      { hint: `Name one that is free, such as ${elsewhere({ hostPort: 8080, guestPort })}` },
    );
  }

  /** The VM that each recorded port belongs to. */
  #owned(): Map<number, VmRecord> {
    const owned = new Map<number, VmRecord>();
    for (const vm of this.#deps.vms()) {
      for (const { hostPort } of vm.published) owned.set(hostPort, vm);
    }
    return owned;
  }

  #refusal(owner: PortOwner, port: PublishedPort, cause: unknown): BangerError {
    const { hostPort } = port;
    const cannot = `Cannot publish port ${hostPort} of VM "${owner.name}":`;
    const problem = cause instanceof ListenError ? cause.problem : "other";
    if (problem === "privileged") {
      return new BangerError(
        "precondition",
        `${cannot} this host lets only root listen on ports that low`,
        {
          hint: `Choose one from ${firstUnprivileged} on, such as ${elsewhere(port)} ` +
            "(sysctl net.ipv4.ip_unprivileged_port_start says where they begin)",
          cause,
        },
      );
    }
    if (problem === "other") {
      const why = cause instanceof Error ? cause.message : String(cause);
      return new BangerError("unavailable", `${cannot} ${why}`, { cause });
    }
    const holder = this.#holderOf(hostPort);
    if (holder === undefined) {
      return new BangerError(
        "conflict",
        `${cannot} another program listens on port ${hostPort} of ${publishAddress}`,
        {
          hint: `ss -ltnp 'sport = :${hostPort}' names it; or choose another number: ${
            elsewhere(port)
          }`,
          cause,
        },
      );
    }
    return new BangerError("conflict", `${cannot} ${holder}`, {
      hint: `Choose another number: ${elsewhere(port)}`,
      cause,
    });
  }

  /** What of banger's own has the port. */
  #holderOf(hostPort: number): string | undefined {
    const auto = this.#auto.get(hostPort);
    if (auto !== undefined) return `it is forwarded by --auto-ports of VM "${auto}"`;
    const ssh = this.#deps.vms().find(({ state, runtime }) =>
      activeStates.includes(state) && runtime?.sshPort === hostPort
    );
    return ssh === undefined ? undefined : `it leads to the ssh server of VM "${ssh.config.name}"`;
  }
}

function isFixed(port: WantedPort): port is PublishedPort {
  return port.hostPort !== null;
}

/** Numbers for a guest's port, best first. */
function* candidates(guestPort: number): Iterable<number> {
  yield guestPort;
  for (let at = 0; at < spare.tries; at++) {
    const port = spare.first + (guestPort + at) % spare.count;
    if (port !== guestPort) yield port;
  }
}

/** The same port with another number on the host, as it is written. */
function elsewhere({ hostPort, guestPort }: PublishedPort): string {
  const other = hostPort < firstUnprivileged ? hostPort + 8000 : hostPort + 1;
  return `${other > 65_535 ? 8080 : other}:${guestPort}`;
}

function guestPortOf(vm: VmRecord, hostPort: number): number {
  return vm.published.find((port) => port.hostPort === hostPort)?.guestPort ?? hostPort;
}

/** Also one that is root's: a chosen port is another one then. */
function isTaken(error: unknown): boolean {
  return error instanceof ListenError && error.problem !== "other";
}
