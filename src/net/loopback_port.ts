/**
 * Addresses of the host and of guests: pure values, and the choice of free ports.
 *
 * Owns loopback ports and MAC addresses. Must not import anything above rank 1; changes no interface, route or
 * firewall.
 */
import { BangerError } from "../model/errors.ts";

/** How often a port is asked of the kernel before giving up. */
const maxTries = 50;

/**
 * Free TCP ports on 127.0.0.1.
 *
 * The kernel names one that is free now; it is remembered here until it is released, so that two VMs
 * that start at once get different ones. Another program may still take it first: who listens on it
 * at last must ask for another one then.
 */
export class LoopbackPorts {
  readonly #taken = new Set<number>();

  /** Marks ports of VMs that run already. */
  adopt(ports: readonly number[]): void {
    for (const port of ports) this.#taken.add(port);
  }

  /**
   * A port that is free, `preferred` when that one is.
   * @throws BangerError `exhausted` when the kernel has none
   */
  reserve(preferred: number | null = null): number {
    if (preferred !== null && !this.#taken.has(preferred) && isFree(preferred)) {
      this.#taken.add(preferred);
      return preferred;
    }
    for (let tries = 0; tries < maxTries; tries++) {
      const port = listenOnce(0);
      if (port === undefined) break;
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      return port;
    }
    throw new BangerError("exhausted", "Cannot choose a loopback port: none is free");
  }

  /** Gives ports back. */
  release(ports: readonly number[]): void {
    for (const port of ports) this.#taken.delete(port);
  }
}

function isFree(port: number): boolean {
  return listenOnce(port) === port;
}

function listenOnce(port: number): number | undefined {
  try {
    using listener = Deno.listen({ hostname: "127.0.0.1", port, transport: "tcp" });
    return listener.addr.port;
  } catch {
    return undefined;
  }
}
