import type { ByteLink } from "./byte_link.ts";

/**
 * A connection after JSON-RPC has let go of it: first the bytes that had been read already (once
 * the last read of the peer has settled), then the connection's own.
 */
export class UpgradedLink implements ByteLink {
  readonly #link: ByteLink;
  #unread: Promise<Uint8Array> | Uint8Array;

  constructor(link: ByteLink, unread: Promise<Uint8Array>) {
    this.#link = link;
    this.#unread = unread;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    if (!(this.#unread instanceof Uint8Array)) this.#unread = await this.#unread;
    if (this.#unread.length === 0) return await this.#link.read(buffer);
    const n = Math.min(buffer.length, this.#unread.length);
    buffer.set(this.#unread.subarray(0, n));
    this.#unread = this.#unread.subarray(n);
    return n;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#link.write(bytes);
  }

  close(): void {
    this.#link.close();
  }
}
