import { type ByteLink, LinkError } from "./link.ts";

/** One direction of a {@linkcode memoryLinks} pair. */
class Pipe {
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #closed = false;
  #wakeups: (() => void)[] = [];

  constructor(readonly capacity: number) {}

  async write(bytes: Uint8Array): Promise<void> {
    while (this.#bytes > 0 && this.#bytes + bytes.length > this.capacity && !this.#closed) {
      await this.#change();
    }
    if (this.#closed) throw new LinkError("ended", "the link is closed");
    this.#chunks.push(bytes.slice());
    this.#bytes += bytes.length;
    this.#wake();
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#chunks.length === 0 && !this.#closed) await this.#change();
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return null;
    const count = Math.min(chunk.length, buffer.length);
    buffer.set(chunk.subarray(0, count));
    if (count < chunk.length) this.#chunks.unshift(chunk.subarray(count));
    this.#bytes -= count;
    this.#wake();
    return count;
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wakeups.push(resolve));
  }

  #wake(): void {
    const wakeups = this.#wakeups;
    this.#wakeups = [];
    for (const wakeup of wakeups) wakeup();
  }
}

/** One end of a link in memory. */
export interface MemoryLink extends ByteLink {
  /** Ends its own direction: the other end reads what is there, and then the end. */
  closeWrite(): Promise<void>;
}

/** Two ends of a link in memory that holds about `capacity` bytes in each direction. */
export function memoryLinks(capacity = 64 * 1024): [MemoryLink, MemoryLink] {
  const there = new Pipe(capacity);
  const back = new Pipe(capacity);
  const end = (input: Pipe, output: Pipe): MemoryLink => {
    let queue: Promise<void> = Promise.resolve();
    return {
      read: (buffer) => input.read(buffer),
      write: (bytes) => {
        const turn = queue.then(() => output.write(bytes));
        queue = turn.catch(() => {});
        return turn;
      },
      closeWrite: () => queue.then(() => output.close()),
      close: () => {
        input.close();
        output.close();
      },
    };
  };
  return [end(back, there), end(there, back)];
}
