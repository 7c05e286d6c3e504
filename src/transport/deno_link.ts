import type { ByteLink } from "./byte_link.ts";

/** A {@linkcode ByteLink} over a connection of Deno's. */
export class DenoLink implements ByteLink {
  readonly #conn: Deno.Conn;
  readonly #onClosed: (() => void) | undefined;
  #closed = false;

  /** `onClosed` is called once, by {@linkcode close}. */
  constructor(conn: Deno.Conn, onClosed?: () => void) {
    this.#conn = conn;
    this.#onClosed = onClosed;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    if (this.#closed) return null;
    try {
      return await this.#conn.read(buffer);
    } catch (error) {
      if (this.#closed || isPeerGone(error)) return null;
      throw error;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    let at = 0;
    while (at < bytes.length) at += await this.#conn.write(bytes.subarray(at));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#conn.close();
    } catch {
      // It was closed below us.
    }
    this.#onClosed?.();
  }
}

function isPeerGone(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted;
}
