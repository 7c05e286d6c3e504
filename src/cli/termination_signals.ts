import type { TerminationSignal } from "./context.ts";

const names: readonly TerminationSignal[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];

/** What the signals of one process are taken with; the host's are Deno's. */
export interface SignalSource {
  readonly listen: (signal: TerminationSignal, listener: () => void) => void;
  /** Does to this process what the signal does when nobody listens. */
  readonly endBy: (signal: TerminationSignal) => void;
}

/**
 * The signals that end this process, once somebody has taken them over: they go to everyone who handles them at
 * the moment, and end the process when nobody does. It never stops listening: a signal that the runtime has
 * taken and not yet handed on is lost when its last listener goes, and with it somebody's Ctrl-C.
 */
export class TerminationSignals {
  readonly #source: SignalSource;
  readonly #handlers = new Set<(signal: TerminationSignal) => void>();
  #isListening = false;

  constructor(source: SignalSource) {
    this.#source = source;
  }

  /** Calls `handler` for each of the signals instead of ending; answers how to undo that. */
  on(handler: (signal: TerminationSignal) => void): () => void {
    // A registration of its own, also for a handler that is given twice.
    const own = (signal: TerminationSignal) => handler(signal);
    this.#handlers.add(own);
    if (!this.#isListening) {
      this.#isListening = true;
      for (const signal of names) this.#source.listen(signal, () => this.#came(signal));
    }
    return () => this.#handlers.delete(own);
  }

  #came(signal: TerminationSignal): void {
    if (this.#handlers.size === 0) this.#source.endBy(signal);
    for (const handler of [...this.#handlers]) handler(signal);
  }
}

/** The signals of this very process. */
export function ownSignals(): TerminationSignals {
  const undo = new Map<TerminationSignal, () => void>();
  return new TerminationSignals({
    listen: (signal, listener) => {
      Deno.addSignalListener(signal, listener);
      undo.set(signal, () => Deno.removeSignalListener(signal, listener));
    },
    endBy: (signal) => {
      // Without a listener the runtime does what the kernel would have done.
      undo.get(signal)?.();
      Deno.kill(Deno.pid, signal);
    },
  });
}
