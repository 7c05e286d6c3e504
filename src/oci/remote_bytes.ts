import * as v from "valibot";
import { fromWireError } from "../api/codec.ts";
import { BangerError } from "../model/errors.ts";
import type { ByteLink } from "../wire/link.ts";
import { Mux, runMux } from "../wire/mux.ts";
import type { MuxStream } from "../wire/mux_stream.ts";
import { bytesReply, type BytesRequest } from "./bytes_messages.ts";
import type { LocalBytes } from "./local_bytes.ts";
import { Watchdog } from "./watchdog.ts";

/** A disk that spins up or a network file system may take a while; a CLI that hangs must not hold a pull. */
const defaultSilenceMs = 60_000;

/**
 * The files of a client, read by the client: the other end of a connection is
 * {@linkcode serveBytes}. Nothing that comes over it is trusted; of what was asked for it takes no
 * more than that.
 *
 * Methods throw BangerError `unavailable` when the client has gone or sends nothing, what the client
 * failed with, and the reason of the signal.
 */
export class RemoteBytes implements LocalBytes {
  /** Settles when the connection is over; never rejects. */
  readonly closed: Promise<unknown>;
  readonly #mux: Mux;
  readonly #silenceMs: number;

  /** Takes over `link`. */
  constructor(link: ByteLink, { silenceMs = defaultSilenceMs } = {}) {
    this.#silenceMs = silenceMs;
    this.#mux = new Mux(link, { side: "acceptor" });
    this.closed = runMux(link, this.#mux);
  }

  async size(name: string, signal: AbortSignal): Promise<number | undefined> {
    using asked = this.#ask({ method: "size", name }, signal);
    return await asked.size();
  }

  async *read(
    name: string,
    { offset, length }: { readonly offset: number; readonly length: number },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    using asked = this.#ask({ method: "read", name, offset, length }, signal);
    for (let left = length;;) {
      const chunk = await asked.next();
      if (chunk === null) break;
      left -= chunk.length;
      if (left < 0) throw broken(`it sends more of "${name}" than was asked for`);
      yield chunk;
    }
    await asked.size();
  }

  #ask(request: BytesRequest, signal: AbortSignal): Asked {
    signal.throwIfAborted();
    try {
      return new Asked(this.#mux.open(request), this.#silenceMs, signal);
    } catch (cause) {
      throw gone(cause);
    }
  }
}

/** One request under way; disposing of it withdraws what is still to come. */
class Asked implements Disposable {
  readonly #stream: MuxStream;
  readonly #watchdog: Watchdog;
  readonly #signal: AbortSignal;
  readonly #withdraw = () => this.#stream.reset("withdrawn");

  constructor(stream: MuxStream, silenceMs: number, signal: AbortSignal) {
    this.#stream = stream;
    this.#signal = signal;
    this.#watchdog = new Watchdog(silenceMs, signal);
    this.#watchdog.signal.addEventListener("abort", this.#withdraw, { once: true });
  }

  async next(): Promise<Uint8Array | null> {
    this.#watchdog.resume();
    try {
      const chunk = await this.#stream.read(0);
      this.#watchdog.saw(chunk?.length ?? 0);
      return chunk;
    } catch (cause) {
      throw this.#failure(cause);
    } finally {
      // How long the caller takes with the bytes is not the client's silence.
      this.#watchdog.pause();
    }
  }

  /** What the reply says. */
  async size(): Promise<number | undefined> {
    this.#watchdog.resume();
    const end = await this.#stream.ended;
    if (end.how === "reset") throw this.#failure(end.reason);
    const reply = v.safeParse(bytesReply, end.reply);
    if (!reply.success) throw broken("its answer has a wrong shape");
    if (!reply.output.ok) throw fromWireError(reply.output.error);
    return reply.output.size ?? undefined;
  }

  [Symbol.dispose](): void {
    this.#watchdog.signal.removeEventListener("abort", this.#withdraw);
    this.#watchdog[Symbol.dispose]();
    this.#withdraw();
  }

  #failure(cause: unknown): unknown {
    if (this.#signal.aborted) return this.#signal.reason;
    if (!this.#watchdog.barked) return gone(cause);
    return new BangerError("unavailable", "Cannot read the image: its reader sends nothing", {
      hint: "Run the same command again",
    });
  }
}

function gone(cause: unknown): BangerError {
  return new BangerError("unavailable", "Cannot read the image: the command that reads it ended", {
    hint: "Run the same command again, and let it end by itself",
    cause,
  });
}

function broken(state: string): BangerError {
  return new BangerError("untrusted", `Cannot read the image: ${state}`);
}
