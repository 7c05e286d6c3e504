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

  // Without async functions, which would allocate several times as much for each call.
  read(buffer: Uint8Array): Promise<number | null> {
    return this.#closed ? Promise.resolve(null) : this.#conn.read(buffer).catch(this.#onReadFailed);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#conn.write(bytes).then((length) =>
      length < bytes.length ? this.write(bytes.subarray(length)) : undefined
    );
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

  readonly #onReadFailed = (error: unknown): null => {
    if (this.#closed || isPeerGone(error)) return null;
    throw error;
  };
}

function isPeerGone(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted;
}
