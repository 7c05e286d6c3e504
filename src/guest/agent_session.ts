import type {
  AgentRequest,
  ExecExit,
  ExecRequest,
  GuestStats,
  Health,
  Identity,
  ListeningPort,
  StreamControl,
  Welcome,
} from "../wire/messages.ts";
import type { MuxStream } from "../wire/mux_stream.ts";

/** A signal that can be sent to a program in the guest. */
export type GuestSignal = StreamControl["signal"];

/** A program that runs in a guest. */
export interface ExecStream {
  /** Its standard input; closing it is end of file. Writes after its end are errors. */
  readonly stdin: WritableStream<Uint8Array>;
  /** Both must be read (or cancelled), else the program blocks when its pipe is full. */
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  /**
   * How it ended; settles after its last output came.
   *
   * Rejects with BangerError `not_found` (a code of `guestRefusals`: 127), `precondition`
   * (likewise: 126), `unavailable` when the session ended, `cancelled` after `abort`.
   */
  readonly exit: Promise<ExecExit>;
  /** Signals its whole process group. */
  signal(signal: GuestSignal): void;
  /** Gives it up: its process group gets SIGHUP, and SIGKILL 2 s later. */
  abort(): void;
}

/** A session with the agent of one guest. Everything that the guest says is checked with bounds. */
export interface AgentSession {
  readonly welcome: Welcome;
  /** Settles when the session is over, with the reason in words; never rejects. */
  readonly closed: Promise<string>;
  health(options?: CallOptions): Promise<Health>;
  identity(
    identity: Identity,
    options?: CallOptions,
  ): Promise<{ readonly tookMs: number }>;
  exec(request: ExecRequest): ExecStream;
  /**
   * Has a command kept for the ssh connection that asks for it by `id` (32 hexadecimal digits), within
   * two minutes and once.
   *
   * Rejects as {@linkcode ExecStream.exit} does when it cannot be run.
   */
  session(id: string, request: ExecRequest, options?: CallOptions): Promise<void>;
  ports(options?: CallOptions): Promise<readonly ListeningPort[]>;
  stats(options?: CallOptions): Promise<GuestStats>;
  shutdown(how: "poweroff" | "reboot", options?: CallOptions): Promise<void>;
  /**
   * Opens a stream for `request` as it is, to be relayed to another session.
   *
   * @throws BangerError `unavailable`
   */
  open(request: AgentRequest): MuxStream;
  /** Ends the session and its link. Programs that it started get SIGHUP. Idempotent. */
  close(): void;
}

/**
 * Bounds of one call; when no time is given 10 s, for an identity 30 s, and for the command of a session 75 s:
 * an image may have it wait for a minute.
 */
export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}
