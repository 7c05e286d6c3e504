import { claimRaw, type OpenRaw } from "../../guest/raw_connection.ts";
import type { ByteLink } from "../../wire/link.ts";

/** How long a connection may take to be accepted by the guest. */
const claimMs = 2_000;

/** After a failure the agent link is used for so long without another try. */
const retryAfterMs = 60_000;

/** The way to a guest's raw connections, and whether it worked last time. */
export class RawPath {
  readonly #open: OpenRaw;
  readonly #monotonicMs: () => number;
  #brokenUntilMs = 0;

  constructor(open: OpenRaw, monotonicMs: () => number) {
    this.#open = open;
    this.#monotonicMs = monotonicMs;
  }

  /** A connection that the guest has joined to the pipe of `ticket`; `null` when there is none. */
  async claim(ticket: string): Promise<ByteLink | null> {
    if (this.#monotonicMs() < this.#brokenUntilMs) return null;
    try {
      return await claimRaw(this.#open, ticket, claimMs);
    } catch {
      // The network is not up, or the guest's firewall closes the port.
      this.#brokenUntilMs = this.#monotonicMs() + retryAfterMs;
      return null;
    }
  }
}
