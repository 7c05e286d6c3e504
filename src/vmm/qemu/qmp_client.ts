import { BangerError } from "../../model/errors.ts";
import type { GuestLink } from "../contract.ts";
import { LineReader } from "./line_reader.ts";
import { parseQmpMessage, type QmpMessage } from "./qmp_message.ts";

/** Longest line that QEMU may send, in bytes; its answers to our commands are far shorter. */
const maxLineBytes = 256 * 1024;
/** Most commands that wait for their answer at once. */
const maxPending = 64;

/** Something that QEMU reports by itself, such as `SHUTDOWN` (QEMU QMP Reference Manual). */
export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What QEMU's monitor connection is used for. */
export interface QmpClientOptions {
  /** Bound on greeting and capabilities, and on each command unless it says otherwise. */
  readonly timeoutMs: number;
  readonly onEvent?: (event: QmpEvent) => void;
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** A client of one QMP connection, past its negotiation. */
export class QmpClient {
  readonly #link: GuestLink;
  readonly #options: QmpClientOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #greeting = Promise.withResolvers<void>();
  #nextId = 1;
  #failure: BangerError | undefined;

  private constructor(link: GuestLink, options: QmpClientOptions) {
    this.#link = link;
    this.#options = options;
    this.#greeting.promise.catch(() => {});
    void this.#readAll();
  }

  /**
   * Takes over `link` (and closes it when this fails): waits for the greeting and leaves the
   * negotiation mode.
   *
   * @throws BangerError `timeout`, `cancelled`, `unavailable` when QEMU hangs up, `internal` when what
   * it sends is not QMP
   */
  static async open(
    link: GuestLink,
    options: QmpClientOptions,
    signal?: AbortSignal,
  ): Promise<QmpClient> {
    const client = new QmpClient(link, options);
    try {
      await client.#bounded("greeting", client.#greeting.promise, options.timeoutMs, signal);
      await client.execute("qmp_capabilities", {}, signal === undefined ? {} : { signal });
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Resolves when the connection has ended, for whatever reason. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /**
   * Runs `command` and answers what it returns.
   *
   * @throws BangerError `internal` when QEMU refuses it, `timeout`, `cancelled`, `unavailable` when the
   * connection has ended or ends before the answer
   */
  async execute(
    command: string,
    args: Readonly<Record<string, unknown>> = {},
    options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<unknown> {
    if (this.#failure !== undefined) throw this.#failure;
    options.signal?.throwIfAborted();
    if (this.#pending.size >= maxPending) {
      throw new BangerError("exhausted", `Cannot run QMP command "${command}": too many wait`);
    }
    const id = this.#nextId++;
    const answer = Promise.withResolvers<unknown>();
    answer.promise.catch(() => {});
    this.#pending.set(id, { command, resolve: answer.resolve, reject: answer.reject });
    const line = `${JSON.stringify({ execute: command, arguments: args, id })}\n`;
    try {
      const written = this.#link.write(new TextEncoder().encode(line)).catch((cause) => {
        this.#end(hungUp(cause));
      });
      const done = written.then(() => answer.promise);
      return await this.#bounded(
        command,
        done,
        options.timeoutMs ?? this.#options.timeoutMs,
        options.signal,
      );
    } finally {
      this.#pending.delete(id);
    }
  }

  /** Hangs up; the VM goes on. */
  close(): void {
    this.#end(new BangerError("unavailable", "Cannot use QMP: the connection was closed"));
  }

  async #readAll(): Promise<void> {
    const lines = new LineReader(maxLineBytes);
    const buffer = new Uint8Array(16 * 1024);
    try {
      for (;;) {
        const count = await this.#link.read(buffer);
        if (count === null) return this.#end(hungUp());
        for (const line of lines.push(buffer.subarray(0, count))) {
          this.#take(parseQmpMessage(line));
        }
      }
    } catch (cause) {
      const error = cause instanceof BangerError
        ? cause
        : cause instanceof RangeError
        ? new BangerError("internal", `Cannot use QMP: QEMU sent ${cause.message}`, { cause })
        : hungUp(cause);
      this.#end(error);
    }
  }

  #take(message: QmpMessage): void {
    switch (message.type) {
      case "greeting":
        return this.#greeting.resolve();
      case "event":
        return this.#options.onEvent?.({ name: message.name, data: message.data });
      case "return":
        return this.#pending.get(message.id)?.resolve(message.value);
      case "error": {
        const pending = message.id === null ? undefined : this.#pending.get(message.id);
        pending?.reject(
          new BangerError(
            "internal",
            `Cannot run QMP command "${pending.command}": ${message.description}`,
          ),
        );
      }
    }
  }

  #end(error: BangerError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#link.close();
    this.#greeting.reject(error);
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    this.#closed.resolve();
  }

  async #bounded<T>(
    what: string,
    promise: Promise<T>,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<T> {
    signal?.throwIfAborted();
    const stopped = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      stopped.reject(new BangerError("timeout", `Cannot finish QMP "${what}": no answer in time`));
    }, timeoutMs);
    const onAbort = () => {
      stopped.reject(new BangerError("cancelled", `Stopped QMP "${what}": cancelled`));
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([promise, stopped.promise]);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }
}

function hungUp(cause?: unknown): BangerError {
  return new BangerError("unavailable", "Cannot use QMP: QEMU has hung up", { cause });
}
