import type { ErrorKind } from "../model/errors.ts";

/** Exit codes of banger; `docs/cli.md` documents them. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  precondition: 5,
  /** In commands that pass the guest's own code through: banger itself failed. */
  banger: 125,
  notExecutable: 126,
  commandNotFound: 127,
  /** Stopped by Ctrl-C: 128 + SIGINT. */
  interrupted: 130,
  /** The reader of the output has gone: 128 + SIGPIPE. */
  outputClosed: 141,
} as const;

/** The exit code for a failure of `kind`. */
export function exitCodeOf(kind: ErrorKind): number {
  switch (kind) {
    case "invalid":
      return exitCodes.usage;
    case "not_found":
      return exitCodes.notFound;
    case "conflict":
      return exitCodes.conflict;
    case "precondition":
      return exitCodes.precondition;
    case "cancelled":
      return exitCodes.interrupted;
    case "unavailable":
    case "timeout":
    case "untrusted":
    case "exhausted":
    case "internal":
      return exitCodes.failed;
  }
}
