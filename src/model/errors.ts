/**
 * The closed set of failures that banger's parts report to each other.
 *
 * Every failure that a caller is expected to tell apart is a {@linkcode BangerError} with a
 * {@linkcode ErrorKind}; anything else that is thrown is a defect and is reported as `internal`.
 * Only the CLI turns a kind into an exit code; only `src/api` encodes one for the wire.
 */

/** What sort of failure it is. The CLI's exit codes derive from it (see `docs/cli.md`). */
export const errorKinds = [
  /** A value given by the user or a client breaks a rule; nothing was changed. */
  "invalid",
  /** The named thing does not exist. */
  "not_found",
  /** The name is taken, or another operation on the same thing is under way. */
  "conflict",
  /** The host or the thing is not in the state that the action needs (a program is missing, …). */
  "precondition",
  /** A peer (daemon, guest, mirror, registry) cannot be reached or went away. */
  "unavailable",
  /** The caller asked to stop, or went away. */
  "cancelled",
  /** A bounded wait ran out. */
  "timeout",
  /** Data from outside failed verification (signature, hash, size, name) and was thrown away. */
  "untrusted",
  /** The disk, a quota or a limit of banger's own is exhausted. */
  "exhausted",
  /** A defect in banger. */
  "internal",
] as const;

/** One of {@linkcode errorKinds}. */
export type ErrorKind = typeof errorKinds[number];

/** What may accompany an error. */
export interface BangerErrorOptions {
  /** The next command or step that helps, as a full sentence or a command line. */
  readonly hint?: string;
  /** Several lines that explain (the end of a program's stderr, of the guest's console). */
  readonly detail?: string;
  /** Stable, upper-case code for a refusal (`KERNEL_UNVERIFIED`), where tests and scripts need one. */
  readonly code?: string;
  readonly cause?: unknown;
}

/**
 * A failure that a caller can expect. `message` has the form
 * `Cannot <action> "<name>": <what is so>`, with a capital and no full stop.
 */
export class BangerError extends Error {
  override readonly name = "BangerError";
  readonly kind: ErrorKind;
  readonly hint: string | undefined;
  readonly detail: string | undefined;
  readonly code: string | undefined;

  constructor(kind: ErrorKind, message: string, options: BangerErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.hint = options.hint;
    this.detail = options.detail;
    this.code = options.code;
  }
}

/** Whether `error` is a {@linkcode BangerError} of `kind` (of any kind when it is left out). */
export function isBangerError(error: unknown, kind?: ErrorKind): error is BangerError {
  return error instanceof BangerError && (kind === undefined || error.kind === kind);
}

/** The words of anything that was thrown, for use behind a colon. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) return String(error.message);
  try {
    return String(error);
  } catch {
    // An object whose conversion throws, or yields no text.
    return `a thrown ${typeof error}`;
  }
}
