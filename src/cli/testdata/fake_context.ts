import {
  type CliContext,
  type DaemonPort,
  type Output,
  OutputClosed,
  type TerminationSignal,
} from "../context.ts";
import { runCommand } from "../run_command.ts";

/** An output that remembers. */
export class FakeOutput implements Output {
  readonly isTerminal: boolean;
  readonly colour = false;
  readonly columns = 80;
  #chunks: Uint8Array[] = [];
  /** Set: after so many bytes the reader is gone. */
  closeAfterBytes = Infinity;
  bytes = 0;
  /** Set: bytes are counted, not kept. */
  discard = false;

  constructor(isTerminal = false) {
    this.isTerminal = isTerminal;
  }

  get text(): string {
    return new TextDecoder().decode(this.all);
  }

  get all(): Uint8Array {
    const all = new Uint8Array(this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }

  write(text: string): void {
    this.#take(new TextEncoder().encode(text));
  }

  writeBytes(bytes: Uint8Array): Promise<void> {
    this.#take(bytes);
    return Promise.resolve();
  }

  #take(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    if (this.bytes > this.closeAfterBytes) throw new OutputClosed("closed");
    if (!this.discard) this.#chunks.push(bytes.slice());
  }
}

/** Surroundings of a command for a test. */
export interface Surroundings {
  readonly connect: () => DaemonPort;
  readonly cwd?: string;
  readonly terminal?: boolean;
  /** Chunks of stdin; then it ends. */
  readonly stdin?: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly env?: Readonly<Record<string, string>>;
  readonly out?: FakeOutput;
  /** Gets a function that sends the command a signal. */
  readonly onReady?: (send: (signal: TerminationSignal) => void) => void;
}

/** What a command left. */
export interface Outcome {
  readonly code: number;
  readonly out: FakeOutput;
  readonly err: FakeOutput;
}

/** Runs a command line in fake surroundings. */
export async function runFake(argv: readonly string[], given: Surroundings): Promise<Outcome> {
  const out = given.out ?? new FakeOutput(given.terminal);
  const err = new FakeOutput(given.terminal);
  const handlers: ((signal: TerminationSignal) => void)[] = [];
  given.onReady?.((signal) => handlers.at(-1)?.(signal));
  const input = { isTerminal: given.terminal ?? false, read: reader(given.stdin ?? []) };
  const code = await runCommand(argv, { out, err, input }, (streams, globals) => {
    const context: CliContext = {
      ...streams,
      ...globals,
      env: given.env ?? {},
      cwd: given.cwd ?? "/",
      nowMs: () => performance.now(),
      wallClockMs: () => 1_700_000_100_000,
      connect: () => Promise.resolve(given.connect()),
      onSignals: (handler) => {
        handlers.push(handler);
        return () => handlers.splice(handlers.indexOf(handler), 1);
      },
    };
    return context;
  });
  return { code, out, err };
}

function reader(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
  const chunks = (async function* () {
    yield* source;
  })();
  let rest: Uint8Array = new Uint8Array(0);
  return async (buffer: Uint8Array): Promise<number | null> => {
    if (rest.length === 0) {
      const { done, value } = await chunks.next();
      if (done === true) return null;
      rest = value;
    }
    const count = Math.min(rest.length, buffer.length);
    buffer.set(rest.subarray(0, count));
    rest = rest.subarray(count);
    return count;
  };
}
