import { fromWireError } from "../../api/codec.ts";
import type { WireError } from "../../api/operation.ts";
import { hashedReading, type ReadLayer } from "../read_layer.ts";
import type { LayerFile } from "./flatten_job.ts";

/** A layer of which the thread is told, and how errors name it. */
export interface LabelledLayer extends LayerFile {
  readonly label: string;
}

/** To the thread that inflates. */
export type ToInflater =
  /** In this order, without being asked again. */
  | { readonly type: "start"; readonly layers: readonly LabelledLayer[] }
  /** So many chunks were used: those of one message. */
  | { readonly type: "used"; readonly chunks: number };

/** From the thread that inflates. */
export type FromInflater =
  /** Its code is loaded. */
  | { readonly type: "ready" }
  | {
    readonly type: "chunks";
    /** They change hands with the message. */
    readonly contents: readonly Uint8Array<ArrayBuffer>[];
    /** Bytes of the layer, as stored, that were read. */
    readonly storedBytes: number;
  }
  /** A layer has ended; the next one follows. All have been checked by whoever brought them when the last one has. */
  | { readonly type: "end"; readonly storedBytes: number }
  /** The last message. */
  | { readonly type: "failed"; readonly error: WireError };

/** The part of a Worker that is used. */
export interface InflaterPort {
  postMessage(message: ToInflater): void;
  onmessage: ((event: MessageEvent<FromInflater>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
}

/**
 * How many chunks, of 256 KiB as a rule, may be on their way: of the layer that is written, and, while
 * that is another thread's, of the one that comes next (24 MiB).
 */
export const chunksAhead = { ofThis: 8, ofNext: 96 } as const;
/** How many of them come in a message: each message wakes the other thread. */
export const chunksAtOnce = 4;

/**
 * A thread that inflates, as the one that writes sees it: its layers come one after the other, read and
 * inflated ahead by some chunks.
 */
export class InflatingThread {
  readonly #port: InflaterPort;
  readonly #ready = Promise.withResolvers<void>();
  readonly #arrived: FromInflater[] = [];
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(port: InflaterPort) {
    this.#port = port;
    this.#ready.promise.catch(() => {});
    port.onmessage = ({ data }) => {
      if (data.type === "ready") return this.#ready.resolve();
      this.#arrived.push(data);
      this.#wake?.();
    };
    port.onerror = (event) => {
      event.preventDefault();
      this.#fail(new Error(`the inflating thread ended: ${event.message}`));
    };
  }

  /** Resolves when its code is loaded and its permissions were looked at. */
  async ready(): Promise<void> {
    await this.#ready.promise;
  }

  /** Begins with the first layer. */
  start(layers: readonly LabelledLayer[]): void {
    this.#port.postMessage({ type: "start", layers });
  }

  /** Reads the next layer: they come in the order of {@linkcode start}. */
  readonly readLayer: ReadLayer = (layer, limits, tarBytesBefore) => {
    let storedBytes = 0;
    const chunks = this.#chunks((bytes) => storedBytes = bytes);
    return hashedReading(layer, limits, tarBytesBefore, chunks, {
      get bytes() {
        return storedBytes;
      },
      // Whoever brought it has checked it, and nothing but the content matters from here on.
      check: () => null,
    });
  };

  async *#chunks(onStored: (bytes: number) => void): AsyncGenerator<Uint8Array> {
    for (;;) {
      const message = await this.#next();
      if (message.type === "failed") throw fromWireError(message.error);
      if (message.type === "ready") continue;
      onStored(message.storedBytes);
      if (message.type === "end") return;
      for (const content of message.contents) {
        yield content;
        // Given back now and not when it is collected: the next one is put where this one was, and
        // nothing is collected because of so many bytes.
        content.buffer.transfer(0);
      }
      this.#port.postMessage({ type: "used", chunks: message.contents.length });
    }
  }

  async #next(): Promise<FromInflater> {
    for (;;) {
      const message = this.#arrived.shift();
      if (message !== undefined) return message;
      if (this.#failure !== undefined) throw this.#failure.error;
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#ready.reject(error);
    this.#wake?.();
  }
}
