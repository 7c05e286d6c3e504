/**
 * Coordination within one process: ranked locks and shared work.
 *
 * Owns: the lock order of the owner daemon (it is asserted here and documented nowhere else) and
 * the sharing of one piece of work by several waiters. Must not import anything but `model`.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { Mutex } from "./mutex.ts";

/**
 * The order in which locks are taken. A flow that holds a lock may only take one of a higher rank;
 * `workspace` is never taken under `vm`, so that stop and delete do not queue behind a copy.
 *
 * - `vm` (by VM id): held over a whole start, stop, delete or set.
 * - `workspace` (by VM id): held over a copy into or out of a guest.
 * - `create_vm`: name still free, insert the `created` row; nothing that takes long.
 * - `image_ops`: publication of an image or kernel: recheck, rename, insert; nothing that takes long.
 * - `leaf`: guards one data structure; nothing is taken under it.
 */
export const lockRanks = { vm: 1, workspace: 2, create_vm: 3, image_ops: 3, leaf: 4 } as const;

/** A sort of lock. */
export type LockKind = keyof typeof lockRanks;

interface Held {
  readonly kind: LockKind;
  readonly key: string;
  released: boolean;
}

/** All locks of a process. Locks of one kind with different keys are independent. */
export class Locks {
  readonly #held = new AsyncLocalStorage<readonly Held[]>();
  readonly #mutexes = new Map<string, Mutex>();

  /**
   * Runs `body` holding the lock, waiting for it in the order of arrival.
   *
   * The locks that are held follow the flow of `await`s; work that `body` starts and does not wait
   * for no longer counts as holding the lock once `body` has ended.
   *
   * @throws Error at once when the order would be broken (a defect), the reason of `signal` when it
   * aborts during the wait
   */
  async hold<T>(
    kind: LockKind,
    key: string,
    signal: AbortSignal | undefined,
    body: () => Promise<T>,
  ): Promise<T> {
    const outer = (this.#held.getStore() ?? []).filter((lock) => !lock.released);
    assertOrder(outer, kind, key);
    const name = `${kind}[${key}]`;
    const mutex = this.#mutexes.get(name) ?? new Mutex();
    this.#mutexes.set(name, mutex);
    try {
      await mutex.acquire(signal);
      const lock: Held = { kind, key, released: false };
      try {
        return await this.#held.run([...outer, lock], body);
      } finally {
        lock.released = true;
        mutex.release();
      }
    } finally {
      if (mutex.idle) this.#mutexes.delete(name);
    }
  }

  /** Whether anyone holds, or waits for, this lock. */
  busy(kind: LockKind, key: string): boolean {
    return this.#mutexes.has(`${kind}[${key}]`);
  }
}

function assertOrder(outer: readonly Held[], kind: LockKind, key: string): void {
  for (const lock of outer) {
    const wrong = lockRanks[kind] <= lockRanks[lock.kind] ||
      (kind === "workspace" && lock.kind === "vm");
    if (wrong) {
      throw new Error(
        `Cannot take lock ${kind}[${key}]: ${lock.kind}[${lock.key}] is held, see lockRanks`,
      );
    }
  }
}
