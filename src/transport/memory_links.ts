import type { ByteLink } from "./byte_link.ts";

/** Two ends of a connection in memory; each write arrives as it was made. */
export function memoryLinks(): readonly [ByteLink, ByteLink] {
  const there = new Pipe();
  const back = new Pipe();
  const end = (from: Pipe, to: Pipe): ByteLink => ({
    read: (buffer) => from.read(buffer),
    write: (bytes) => to.write(bytes),
    close: () => {
      from.close();
      to.close();
    },
  });
  return [end(back, there), end(there, back)];
}

class Pipe {
  readonly #chunks: Uint8Array[] = [];
  #closed = false;
  #wake: (() => void) | undefined;

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#chunks.length === 0) {
      if (this.#closed) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const chunk = this.#chunks[0] ?? new Uint8Array(0);
    const n = Math.min(buffer.length, chunk.length);
    buffer.set(chunk.subarray(0, n));
    if (n === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(n);
    return n;
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#closed) return Promise.reject(new Deno.errors.BrokenPipe("closed"));
    if (bytes.length > 0) this.#chunks.push(bytes.slice());
    this.#wake?.();
    return Promise.resolve();
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
  }
}
