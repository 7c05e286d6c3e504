/**
 * Says whether all who are connected to the daemon are its owner's processes. A look at everyone
 * serves all connections that were accepted before it began, however many come at once.
 */
export class PeerCheck {
  readonly #uid: number;
  readonly #peerUids: () => Promise<readonly number[]>;
  /** A look that has not begun. */
  #next: Promise<boolean> | undefined;
  /** The last look that has. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(uid: number, peerUids: () => Promise<readonly number[]>) {
    this.#uid = uid;
    this.#peerUids = peerUids;
  }

  /** True only when everyone is; a rejection means that it cannot be told. */
  areOwn(): Promise<boolean> {
    return this.#next ??= this.#after(this.#last);
  }

  async #after(last: Promise<unknown>): Promise<boolean> {
    await last;
    const look = this.#peerUids();
    this.#last = look.catch(() => {});
    this.#next = undefined;
    const uids = await look;
    // The caller's own connection is among them, so that nobody at all is a wrong answer.
    return uids.length > 0 && uids.every((uid) => uid === this.#uid);
  }
}
