/**
 * What VMs use: measured, kept for an hour, and looked at for those that nobody uses.
 *
 * Owns the measurements and the rules of when a VM counts as unused. Must not change a VM itself: `reaper.ts` asks
 * for its stop.
 */
import { BangerError } from "../../../model/errors.ts";
import type { VmId } from "../../../model/ids.ts";
import type { VmRecord } from "../../../model/vm.ts";
import type { GuestStats } from "../../../wire/messages.ts";
import type { LiveTable } from "../live.ts";

/** How long measurements are kept, and how many of a VM at most. */
export const statsRetention = { ms: 3_600_000, count: 720 } as const;
/** How long a guest may take to answer, in milliseconds. */
const answerMs = 5_000;
/** Processors are measured over at least this time, in milliseconds. */
const leastSpanMs = 250;

/** One measurement of a guest. */
export interface Measurement {
  /** Milliseconds since the epoch. */
  readonly measuredAtMs: number;
  readonly monotonicMs: number;
  readonly guest: GuestStats;
  /** Of one processor, in per cent, since the measurement before; `null` for the first. */
  readonly cpuPercent: number | null;
  readonly receivedBytesPerS: number | null;
  readonly sentBytesPerS: number | null;
  /** Commands that ran for clients. */
  readonly execs: number;
  /** Connections through its ports of the host: open now, and all that have come since it began to run. */
  readonly forwarded: { readonly open: number; readonly accepted: number };
}

/** What {@linkcode VmStats} needs. */
export interface VmStatsDeps {
  readonly live: LiveTable;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly monotonicMs: () => number;
  readonly pause: (ms: number) => Promise<void>;
}

/** Measures running VMs and remembers an hour of it. Takes no locks; nothing of a VM changes. */
export class VmStats {
  readonly #deps: VmStatsDeps;
  readonly #kept = new Map<VmId, Measurement[]>();
  readonly #underWay = new Map<VmId, Promise<Measurement>>();

  constructor(deps: VmStatsDeps) {
    this.#deps = deps;
  }

  /**
   * Measures a VM now; several at once share one measurement.
   *
   * @throws BangerError `precondition` when it does not run, `timeout`, `unavailable`
   */
  async measure(vm: Pick<VmRecord, "id" | "config" | "state">): Promise<Measurement> {
    const kept = this.#kept.get(vm.id)?.at(-1);
    if (kept === undefined) {
      // What processors do is seen between two measurements only.
      await this.#once(vm);
      await this.#deps.pause(leastSpanMs);
    }
    return await this.#once(vm);
  }

  /** Measures every running VM, each as far as it answers, and forgets the others. */
  async poll(vmOf: (id: VmId) => VmRecord | undefined): Promise<void> {
    const { live } = this.#deps;
    const running = new Set(live.ids);
    for (const id of this.#kept.keys()) if (!running.has(id)) this.#kept.delete(id);
    await Promise.allSettled([...running].map(async (id) => {
      const vm = vmOf(id);
      if (vm !== undefined) await this.#once(vm);
    }));
  }

  /** What was measured in the last hour, oldest first. */
  history(id: VmId): readonly Measurement[] {
    return this.#kept.get(id) ?? [];
  }

  #once(vm: Pick<VmRecord, "id" | "config" | "state">): Promise<Measurement> {
    const shared = this.#underWay.get(vm.id) ??
      this.#measure(vm).finally(() => this.#underWay.delete(vm.id));
    this.#underWay.set(vm.id, shared);
    return shared;
  }

  async #measure(vm: Pick<VmRecord, "id" | "config" | "state">): Promise<Measurement> {
    const live = this.#deps.live.get(vm.id);
    if (live === undefined) {
      const { name } = vm.config;
      throw new BangerError("precondition", `Cannot measure VM "${name}": it is ${vm.state}`, {
        hint: `banger vm start ${name}`,
      });
    }
    const guest = await live.session.stats({ timeoutMs: answerMs });
    const monotonicMs = this.#deps.monotonicMs();
    const before = this.#kept.get(vm.id)?.at(-1);
    // Too close to the one before, rates would be noise: the last ones hold.
    if (before !== undefined && monotonicMs - before.monotonicMs < leastSpanMs) return before;
    const measured: Measurement = {
      measuredAtMs: this.#deps.now(),
      monotonicMs,
      guest,
      execs: live.execs,
      forwarded: { open: live.ports.connections, accepted: live.ports.accepted },
      ...ratesBetween(before, { guest, monotonicMs }),
    };
    // It may have been stopped, and even started again, meanwhile.
    if (this.#deps.live.get(vm.id) === live) this.#keep(vm.id, measured);
    return measured;
  }

  #keep(id: VmId, measured: Measurement): void {
    const all = this.#kept.get(id) ?? [];
    const oldest = measured.monotonicMs - statsRetention.ms;
    this.#kept.set(
      id,
      [...all, measured].filter(({ monotonicMs }) => monotonicMs >= oldest)
        .slice(-statsRetention.count),
    );
  }
}

type Rates = Pick<Measurement, "cpuPercent" | "receivedBytesPerS" | "sentBytesPerS">;

/** Counters that went back are of another start of the guest. */
function ratesBetween(
  before: Measurement | undefined,
  now: Pick<Measurement, "guest" | "monotonicMs">,
): Rates {
  const spanS = before === undefined ? 0 : (now.monotonicMs - before.monotonicMs) / 1000;
  const rate = (of: (guest: GuestStats) => number | undefined): number | null => {
    const [from, to] = [before && of(before.guest), of(now.guest)];
    if (from === undefined || to === undefined || to < from || spanS <= 0) return null;
    return (to - from) / spanS;
  };
  const busy = rate(({ cpu }) => cpu?.busyS);
  return {
    cpuPercent: busy === null ? null : busy * 100,
    receivedBytesPerS: rate(({ network }) => network?.receivedBytes),
    sentBytesPerS: rate(({ network }) => network?.sentBytes),
  };
}
