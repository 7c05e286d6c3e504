import { BangerError } from "../model/errors.ts";
import type { CliContext, TerminationSignal } from "./context.ts";

/**
 * Runs `body` with signals taken over: the first one (Ctrl-C, SIGTERM, SIGHUP) aborts, so that
 * `body` can unwind; the second one gives up waiting for that.
 *
 * @throws BangerError `cancelled` after the second signal; whatever `body` throws
 */
export async function interruptible<T>(
  context: CliContext,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const giveUp = Promise.withResolvers<never>();
  giveUp.promise.catch(() => {});
  const undo = context.onSignals((signal) => {
    if (!abort.signal.aborted) abort.abort(interrupted(signal));
    else giveUp.reject(interrupted(signal));
  });
  try {
    return await Promise.race([body(abort.signal), giveUp.promise]);
  } finally {
    undo();
  }
}

/** The error for an end by signal. */
export function interrupted(signal: TerminationSignal): BangerError {
  return new BangerError("cancelled", signal === "SIGINT" ? "Interrupted" : `Ended by ${signal}`);
}
