import { BangerError, isBangerError, reasonOf } from "../model/errors.ts";

/**
 * What a failed statement means to callers. `node:sqlite` gives no error code under Deno, so the
 * message tells (SQLite's messages are stable).
 */
export function storeFailure(action: string, cause: unknown): BangerError {
  if (isBangerError(cause)) return cause;
  const reason = reasonOf(cause);
  if (/database or disk is full/i.test(reason)) {
    return new BangerError("exhausted", `Cannot ${action}: the disk is full`, {
      hint: "Free some space, then run the command again",
      cause,
    });
  }
  if (/readonly database|unable to open|disk I\/O error/i.test(reason)) {
    return new BangerError("precondition", `Cannot ${action}: ${reason}`, {
      hint: "Check owner, mode and free space of the state directory",
      cause,
    });
  }
  return new BangerError("internal", `Cannot ${action}: ${reason}`, { cause });
}

/** Whether a statement failed because a UNIQUE or PRIMARY KEY rule was broken. */
export function isUniqueViolation(error: unknown): boolean {
  return /UNIQUE constraint failed/i.test(reasonOf(error));
}
