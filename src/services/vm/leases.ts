import { reasonOf } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";

/** What a lease needs of the client's connection. */
export interface LeaseHolder {
  /** Calls back once when the connection is over. Answers how to take it back. */
  onClose(listener: (reason: "gone" | "shutdown") => void): () => void;
}

/** The creation that a lease covers. */
export interface LeasedCreate {
  /** Ends it when it is still under way. */
  cancel(): void;
  /** Settles when it is final, however it ended. */
  readonly settled: Promise<unknown>;
  /** The VM's id once its row exists. */
  vmId(): VmId | undefined;
}

/**
 * VMs that belong to the connection that asked for them. When the client goes away without having
 * released its VM, the creation is cancelled, and a VM that is ephemeral is deleted. When the daemon
 * itself ends, nothing happens here: the next one deletes ephemeral VMs.
 */
export class Leases {
  readonly #held = new Map<VmId, () => void>();
  readonly #abandon: (id: VmId) => Promise<void>;
  readonly #log: { warn(text: string): void };

  /** `abandon` deletes an ephemeral VM and leaves others alone. */
  constructor(abandon: (id: VmId) => Promise<void>, log: { warn(text: string): void }) {
    this.#abandon = abandon;
    this.#log = log;
  }

  /** Ties `create` to `holder`. */
  hold(holder: LeaseHolder, create: LeasedCreate): void {
    let released = false;
    const forget = holder.onClose((reason) => {
      if (released || reason === "shutdown") return;
      create.cancel();
      create.settled.then(async () => {
        const id = create.vmId();
        if (id === undefined) return;
        this.#held.delete(id);
        if (!released) await this.#abandon(id);
      }).catch((error) => this.#log.warn(`cannot end a lease: ${reasonOf(error)}`));
    });
    create.settled.then(() => {
      const id = create.vmId();
      if (id === undefined) return;
      this.#held.set(id, () => {
        released = true;
        forget();
      });
    }, () => undefined);
  }

  /** Ends the lease of a VM, which stays. Does nothing when there is none. */
  release(id: VmId): void {
    this.#held.get(id)?.();
    this.#held.delete(id);
  }
}
