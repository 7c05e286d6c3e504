/**
 * The host's ends of lanes (`wire/lane.ts`): who has which, and how bytes of an exec get onto one and off it.
 *
 * Owns which lanes are taken or rest. Must not import other files of the VM service: a lane knows no VM.
 */
import type { LaneLink } from "../../../vmm/contract.ts";
import { laneNonceChars } from "../../../wire/lane.ts";

/** A lane that does not work is left alone for so long. */
const restMs = 60_000;

/** What {@linkcode Lanes} needs. */
export interface LaneDeps {
  /** A new connection to the lane's socket. @throws when there is none */
  readonly open: (lane: number) => Promise<LaneLink>;
  /** How many there are. */
  readonly count: number;
  readonly monotonicMs: () => number;
  /** `bytes` random bytes in hexadecimal. */
  readonly randomHex: (bytes: number) => string;
}

/** A lane that one channel of an exec has; see `src/wire/lane.ts`. */
export interface LaneLease {
  readonly lane: number;
  readonly nonce: string;
  readonly link: LaneLink;
  readonly isReleased: boolean;
  /** Closes the connection and frees the lane; one that does not work rests first. Idempotent. */
  release(works?: boolean): void;
}

/**
 * The lanes of a running VM. Each is leased to one channel at a time, over a connection of its own: what
 * an earlier use left unread is thrown away with its connection, and what is still in the guest comes
 * before the next nonce. So a lane needs no state of the guest to be used again, also by a new daemon.
 */
export class Lanes {
  readonly #deps: LaneDeps;
  /** The one that was used longest ago comes first. */
  readonly #free: number[];
  readonly #restUntilMs = new Map<number, number>();

  constructor(deps: LaneDeps) {
    this.#deps = deps;
    this.#free = Array.from({ length: deps.count }, (_, lane) => lane);
  }

  /** A free lane, `null` when there is none that works. Never rejects. */
  async lease(): Promise<LaneLease | null> {
    const lane = this.#take();
    if (lane === undefined) return null;
    try {
      return this.#lease(lane, await this.#deps.open(lane));
    } catch {
      // The VM has no lanes (an earlier banger started it), or is ending.
      this.#rest(lane);
      this.#free.push(lane);
      return null;
    }
  }

  #lease(lane: number, link: LaneLink): LaneLease {
    const nonce = this.#deps.randomHex(laneNonceChars / 2);
    let released = false;
    return {
      lane,
      nonce,
      link,
      get isReleased() {
        return released;
      },
      release: (works = true) => {
        if (released) return;
        released = true;
        link.close();
        if (!works) this.#rest(lane);
        this.#free.push(lane);
      },
    };
  }

  #take(): number | undefined {
    const now = this.#deps.monotonicMs();
    const index = this.#free.findIndex((lane) => now >= (this.#restUntilMs.get(lane) ?? 0));
    return index === -1 ? undefined : this.#free.splice(index, 1)[0];
  }

  #rest(lane: number): void {
    this.#restUntilMs.set(lane, this.#deps.monotonicMs() + restMs);
  }
}
