import type { MethodName, ParamsOf, ResultOf, UpgradingMethod } from "../api/methods.ts";
import type { OperationView } from "../api/operation.ts";
import type { StageEvent } from "../model/stages.ts";
import type { ByteLink } from "../wire/link.ts";

/** A connection to the owner daemon, as far as commands need it. */
export interface DaemonPort {
  /** @throws BangerError as the daemon answers; `unavailable` when the daemon goes away */
  call<M extends MethodName>(
    method: M,
    params: ParamsOf<M>,
    signal?: AbortSignal,
  ): Promise<ResultOf<M>>;
  /** Follows an operation to its end; earlier events are replayed. */
  watch(
    operationId: string,
    onEvent: (event: StageEvent) => void,
    signal?: AbortSignal,
  ): Promise<OperationView>;
  /** Turns this connection into a byte link; nothing else can be called on it afterwards. */
  upgrade<M extends UpgradingMethod>(
    method: M,
    params: ParamsOf<M>,
    signal?: AbortSignal,
  ): Promise<{ readonly result: ResultOf<M>; readonly link: ByteLink }>;
  close(): void;
}

/** How commands reach the daemon. */
export interface ConnectOptions {
  /** Whether a daemon is started when none runs. */
  readonly start: "on_demand" | "never";
  readonly signal?: AbortSignal;
}

/** A stream that a command writes to. */
export interface Output {
  readonly isTerminal: boolean;
  /** Whether colours may be used. */
  readonly colour: boolean;
  /** Columns of the terminal; 80 elsewhere. */
  readonly columns: number;
  /** Writes text at once. @throws OutputClosed when the reader has gone */
  write(text: string): void;
  /** Writes bytes; settles when they are taken. @throws OutputClosed when the reader has gone */
  writeBytes(bytes: Uint8Array): Promise<void>;
}

/** The reader of stdout or stderr has gone (EPIPE). */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

/** The standard input. */
export interface Input {
  readonly isTerminal: boolean;
  /** Bytes read into `buffer`; `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
}

/** Signals to this process that a command may take over. */
export type TerminationSignal = "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGQUIT";

/** Everything a command may touch; handed in, so that tests give their own. */
export interface CliContext {
  readonly out: Output;
  readonly err: Output;
  readonly input: Input;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Snapshot of the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute. */
  readonly cwd: string;
  /** Monotonic, in milliseconds since this process started. */
  readonly nowMs: () => number;
  /** Milliseconds since the epoch. */
  readonly wallClockMs: () => number;
  /** A new connection each time. */
  readonly connect: (options: ConnectOptions) => Promise<DaemonPort>;
  /** Calls `handler` for each of the signals instead of ending; answers how to undo that. */
  readonly onSignals: (handler: (signal: TerminationSignal) => void) => () => void;
}
