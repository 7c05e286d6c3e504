import type { Socket } from "node:net";

/** A connection that came to a port of the host's loopback. */
export class LoopbackConnection {
  /** Settles when both directions have ended or it was closed; never rejects. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  #failure: Error | undefined;
  #hasEnded = false;
  #wake = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", (error) => this.#failure ??= error);
    socket.on("end", () => {
      this.#hasEnded = true;
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#failure ??= new Error("the connection is closed");
        this.#wake();
        resolve();
      });
    });
  }

  /** The next bytes, `null` at the end. One call at a time. @throws when the connection broke or was closed */
  async read(): Promise<Uint8Array | null> {
    for (;;) {
      // After the first call: before, nothing is read that nobody has asked for.
      if (this.#socket.listenerCount("readable") === 0) {
        this.#socket.on("readable", () => this.#wake());
      }
      const bytes: Uint8Array | null = this.#socket.read();
      if (bytes !== null) return bytes;
      if (this.#hasEnded) return null;
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Settles when the kernel has taken all of `bytes`. One call at a time. @throws when the connection broke */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve());
    });
  }

  /** Nothing more is written; the other direction goes on. */
  end(): void {
    this.#socket.end();
  }

  /** The peer sees a reset, not an end: it must not take a part for the whole. Idempotent. */
  abort(): void {
    if (!this.#socket.destroyed) this.#socket.resetAndDestroy();
  }
}
