import type { VmOverview, VmView } from "../../api/vm.ts";
import type { VmId } from "../../model/ids.ts";
import type { VmRecord, VmState } from "../../model/vm.ts";
import type { VmPaths } from "../../paths/paths.ts";
import { Serialised } from "../../transport/serialised.ts";
import { type DisksUsed, disksUsed, viewOf } from "./view.ts";

/** The rows behind the list. A revision tells which of them are still those of last time. */
export interface ListedVms {
  readonly revision: number;
  /** VMs that changed, came or went since `revision`; `undefined`: any may have. */
  changedSince(revision: number): ReadonlySet<VmId> | undefined;
  find(id: VmId): VmRecord | undefined;
  /** Oldest first. */
  each(): Iterable<VmRecord>;
}

/** What {@linkcode VmListing} needs. */
export interface VmListingDeps {
  readonly store: ListedVms;
  /** Where a VM's disks are. */
  readonly disks: (id: VmId) => Pick<VmPaths, "overlay" | "workDisk">;
  /** Milliseconds since any fixed point. */
  readonly monotonicMs: () => number;
}

/** Oldest disk use of a VM that may write to its disk. */
const maxAgeMs = 1000;

/** In these states nothing writes to the disk: what it takes changes only with the row. */
const quiet: ReadonlySet<VmState> = new Set(["stopped", "failed"]);

/** Distinct texts that are kept only once; of more, some are kept several times. */
const maxSharedTexts = 1024;

/** What is kept of a VM, made anew when its row changes. */
interface Listed {
  readonly id: VmId;
  readonly createdAtMs: number;
  readonly workDiskBytes: number;
  /** What its disks took when they were measured. */
  readonly used: DisksUsed;
  /** May write to its disk. */
  readonly isBusy: boolean;
  /** JSON of its view. */
  readonly view: string;
  /** JSON of its part of the overview, up to the index of its group. */
  readonly row: string;
  /** JSON of its group in the overview. */
  readonly group: string;
}

/**
 * The list of all VMs as JSON. Kept until a row changes; then only that row is read and made into
 * JSON again. Disks of VMs that do not run are measured once, of the others at most once a second.
 */
export class VmListing {
  readonly #deps: VmListingDeps;
  /** Oldest first; those of the same moment by id, as in the store. */
  #listed: Listed[] = [];
  /** Revision of the store that `#listed` is of. */
  #revision: number | undefined;
  #measuredAtMs = -Infinity;
  #views: Serialised<{ vms: VmView[] }> | undefined;
  #overview: Serialised<VmOverview> | undefined;
  readonly #shared = new Map<string, string>();

  constructor(deps: VmListingDeps) {
    this.#deps = deps;
  }

  /** Every VM with all that clients may know of it. */
  views(): Serialised<{ vms: VmView[] }> {
    this.#readChanges();
    this.#measureBusy();
    return this.#views ??= serialised(
      `{"vms":[${this.#listed.map(({ view }) => view).join(",")}]}`,
    );
  }

  /** What a table of all VMs shows. */
  overview(): Serialised<VmOverview> {
    this.#readChanges();
    return this.#overview ??= this.#makeOverview();
  }

  #makeOverview(): Serialised<VmOverview> {
    const indices = new Map<string, number>();
    const rows = this.#listed.map(({ row, group }) => {
      const index = indices.get(group) ?? indices.size;
      indices.set(group, index);
      return `${row},${index}]`;
    });
    const groups = [...indices.keys()];
    return serialised(`{"groups":[${groups.join(",")}],"vms":[${rows.join(",")}]}`);
  }

  #readChanges(): void {
    const { store } = this.#deps;
    if (this.#revision === store.revision) return;
    const changed = this.#revision === undefined ? undefined : store.changedSince(this.#revision);
    if (changed === undefined) this.#readAll();
    else this.#read(changed);
    this.#revision = store.revision;
    this.#views = this.#overview = undefined;
  }

  #readAll(): void {
    this.#measuredAtMs = this.#deps.monotonicMs();
    this.#listed = Array.from(this.#deps.store.each(), (vm) => this.#make(vm));
  }

  #read(changed: ReadonlySet<VmId>): void {
    const listed = this.#listed.filter(({ id }) => !changed.has(id));
    for (const id of changed) {
      const vm = this.#deps.store.find(id);
      if (vm !== undefined) listed.push(this.#make(vm));
    }
    this.#listed = listed.sort(byAge);
  }

  /** Measures again what may have grown, when the last time is long enough ago. */
  #measureBusy(): void {
    if (this.#deps.monotonicMs() - this.#measuredAtMs < maxAgeMs) return;
    this.#measuredAtMs = this.#deps.monotonicMs();
    for (const [index, { id, isBusy, workDiskBytes, used }] of this.#listed.entries()) {
      if (!isBusy) continue;
      const { system, work } = disksUsed(workDiskBytes, this.#deps.disks(id));
      if (system === used.system && work === used.work) continue;
      const vm = this.#deps.store.find(id);
      if (vm === undefined) continue;
      this.#listed[index] = this.#make(vm);
      this.#views = undefined;
    }
  }

  #make(vm: VmRecord): Listed {
    const used = disksUsed(vm.config.workDiskBytes, this.#deps.disks(vm.id));
    const view = viewOf(vm, used);
    const { name, state, image, cpus, memoryMib, diskBytes, vmm, accelerator } = view;
    const group: VmOverview["groups"][number] = {
      state,
      image,
      cpus,
      memoryMib,
      diskBytes,
      vmm,
      accelerator,
    };
    return {
      id: vm.id,
      createdAtMs: vm.createdAtMs,
      workDiskBytes: vm.config.workDiskBytes,
      used,
      isBusy: !quiet.has(vm.state),
      view: JSON.stringify(view),
      row: `[${JSON.stringify(name)},${vm.createdAtMs}`,
      group: this.#once(JSON.stringify(group)),
    };
  }

  /** An equal text that is kept already, if there is one. */
  #once(text: string): string {
    const known = this.#shared.get(text);
    if (known !== undefined) return known;
    if (this.#shared.size >= maxSharedTexts) this.#shared.clear();
    this.#shared.set(text, text);
    return text;
  }
}

function byAge(one: Listed, other: Listed): number {
  return one.createdAtMs - other.createdAtMs || (one.id < other.id ? -1 : 1);
}

function serialised<T>(json: string): Serialised<T> {
  return new Serialised(new TextEncoder().encode(json));
}
