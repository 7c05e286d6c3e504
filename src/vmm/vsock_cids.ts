import type { VmId } from "../model/ids.ts";

/** Lowest context id of a guest; below are the hypervisor, loopback and the host (vsock(7)). */
const lowestCid = 3;

/** How many ids are used: all that are positive as signed numbers, which some programs take them for. */
const cidCount = 2 ** 31 - lowestCid;

/** The context id that a VM has when nobody else has it. The same VM gets the same one every time. */
export function preferredCid(vm: VmId): number {
  return lowestCid + Number.parseInt(vm.slice(0, 8), 16) % cidCount;
}

/**
 * The vsock context ids of this daemon's running VMs. They belong to the whole host: those that others
 * have show only when a VMM is refused one.
 */
export class VsockCids {
  readonly #ofVm = new Map<VmId, number>();
  readonly #foreign = new Set<number>();

  /** The context id of `vm`, from now until {@linkcode release}; asked again it answers the same. */
  take(vm: VmId): number {
    const own = this.#ofVm.get(vm);
    if (own !== undefined) return own;
    const taken = new Set([...this.#ofVm.values(), ...this.#foreign]);
    let cid = preferredCid(vm);
    while (taken.has(cid)) cid = lowestCid + (cid - lowestCid + 1) % cidCount;
    this.#ofVm.set(vm, cid);
    return cid;
  }

  /** Remembers the context id of a VM that runs already. */
  adopt(vm: VmId, cid: number): void {
    this.#ofVm.set(vm, cid);
  }

  /** The context id of `vm` is free again. Nothing happens when it has none. */
  release(vm: VmId): void {
    this.#ofVm.delete(vm);
  }

  /** Another program of the host has the context id of `vm`: the VM gets another one. */
  replace(vm: VmId): number {
    const cid = this.#ofVm.get(vm);
    if (cid !== undefined) this.#foreign.add(cid);
    this.release(vm);
    return this.take(vm);
  }
}
