import { BangerError } from "../../model/errors.ts";
import type { LaneLink } from "../contract.ts";

/** Waits between looks at a socket that is not there yet, in ms; the last one repeats. */
const retryDelaysMs = [1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32] as const;

/**
 * Connects to the Unix socket at `path`, trying again while nobody listens there.
 *
 * @throws BangerError `timeout` when it cannot be reached in `timeoutMs`, the reason of one of
 * `signals` when that aborts
 */
export async function connectUnix(
  path: string,
  timeoutMs: number,
  ...signals: readonly AbortSignal[]
): Promise<UnixLink> {
  const deadline = performance.now() + timeoutMs;
  for (let attempt = 0;; attempt++) {
    for (const signal of signals) signal.throwIfAborted();
    try {
      const connection = await Deno.connect({ transport: "unix", path });
      if (signals.some(({ aborted }) => aborted)) connection.close();
      for (const signal of signals) signal.throwIfAborted();
      return new UnixLink(connection);
    } catch (cause) {
      if (!isNotThereYet(cause)) throw cause;
      if (performance.now() >= deadline) {
        throw new BangerError("timeout", `Cannot reach socket "${path}": nobody listens`, {
          cause,
        });
      }
    }
    const delayMs = retryDelaysMs[Math.min(attempt, retryDelaysMs.length - 1)] ?? 32;
    await new Promise((resolve) => setTimeout(resolve, delayMs));
  }
}

function isNotThereYet(cause: unknown): boolean {
  return cause instanceof Deno.errors.NotFound ||
    cause instanceof Deno.errors.ConnectionRefused ||
    // EAGAIN: the listener's queue is full.
    cause instanceof Deno.errors.WouldBlock;
}

/** Bytes over a connected socket. A connection that the other side resets has ended. */
export class UnixLink implements LaneLink {
  readonly #connection: Deno.UnixConn;
  #closed = false;

  constructor(connection: Deno.UnixConn) {
    this.#connection = connection;
  }

  async read(into: Uint8Array): Promise<number | null> {
    if (this.#closed) return null;
    try {
      return await this.#connection.read(into);
    } catch (cause) {
      if (this.#closed || isHangUp(cause)) return null;
      throw cause;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    let at = 0;
    while (at < bytes.length) at += await this.#connection.write(bytes.subarray(at));
  }

  async closeWrite(): Promise<void> {
    await this.#connection.closeWrite();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }
}

function isHangUp(cause: unknown): boolean {
  return cause instanceof Deno.errors.ConnectionReset ||
    cause instanceof Deno.errors.BrokenPipe ||
    cause instanceof Deno.errors.BadResource ||
    cause instanceof Deno.errors.Interrupted;
}
