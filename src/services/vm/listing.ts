import type { VmView } from "../../api/vm.ts";
import type { VmId } from "../../model/ids.ts";
import type { VmRecord, VmState } from "../../model/vm.ts";
import { Serialised } from "../../transport/serialised.ts";
import { diskUsed, viewOf } from "./view.ts";

/** The rows behind the list. A revision tells whether they are still those of last time. */
export interface ListedVms {
  readonly revision: number;
  revisionOf(id: VmId): number;
  /** Oldest first. */
  each(): Iterable<VmRecord>;
}

/** What {@linkcode VmListing} needs. */
export interface VmListingDeps {
  readonly store: ListedVms;
  /** Where a VM's disk is. */
  readonly overlay: (id: VmId) => string;
  /** Milliseconds since any fixed point. */
  readonly monotonicMs: () => number;
}

/** Oldest disk use of a VM that may write to its disk. */
const maxAgeMs = 1000;

/** In these states nothing writes to the disk: what it takes changes only with the row. */
const quiet: ReadonlySet<VmState> = new Set(["stopped", "failed"]);

interface Measured {
  readonly revision: number;
  readonly bytes: number;
}

/**
 * The list of all VMs as JSON, kept until a row changes. Disks of VMs that do not run are measured
 * once, of the others at most once a second.
 */
export class VmListing {
  readonly #deps: VmListingDeps;
  readonly #measured = new Map<VmId, Measured>();
  #list: Serialised<{ vms: VmView[] }> | undefined;
  #revision = -1;
  #measuredAtMs = -Infinity;
  /** VMs that may write to their disks. */
  #busy: VmId[] = [];

  constructor(deps: VmListingDeps) {
    this.#deps = deps;
  }

  /** The list as it is now. */
  current(): Serialised<{ vms: VmView[] }> {
    const isOld = this.#busy.length > 0 &&
      this.#deps.monotonicMs() - this.#measuredAtMs >= maxAgeMs;
    const changed = this.#revision !== this.#deps.store.revision ||
      (isOld && this.#measureBusy());
    return this.#list === undefined || changed ? this.#list = this.#make() : this.#list;
  }

  /** Whether one of the disks takes something else now. */
  #measureBusy(): boolean {
    this.#measuredAtMs = this.#deps.monotonicMs();
    return this.#busy.filter((id) => this.#measuresAnew(id)).length > 0;
  }

  #measuresAnew(id: VmId): boolean {
    const bytes = diskUsed(this.#deps.overlay(id));
    const changed = this.#measured.get(id)?.bytes !== bytes;
    this.#measured.set(id, { revision: this.#deps.store.revisionOf(id), bytes });
    return changed;
  }

  #make(): Serialised<{ vms: VmView[] }> {
    const { store } = this.#deps;
    const isOld = this.#deps.monotonicMs() - this.#measuredAtMs >= maxAgeMs;
    if (isOld) this.#measuredAtMs = this.#deps.monotonicMs();
    this.#revision = store.revision;
    this.#busy = [];
    const views: string[] = [];
    const listed = new Set<VmId>();
    for (const vm of store.each()) {
      const isQuiet = quiet.has(vm.state);
      if (!isQuiet) this.#busy.push(vm.id);
      const known = this.#measured.get(vm.id);
      if (known?.revision !== store.revisionOf(vm.id) || (isOld && !isQuiet)) {
        this.#measuresAnew(vm.id);
      }
      views.push(JSON.stringify(viewOf(vm, this.#measured.get(vm.id)?.bytes ?? 0)));
      listed.add(vm.id);
    }
    for (const id of this.#measured.keys()) if (!listed.has(id)) this.#measured.delete(id);
    return new Serialised(new TextEncoder().encode(`{"vms":[${views.join(",")}]}`));
  }
}
