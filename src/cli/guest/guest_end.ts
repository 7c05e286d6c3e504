import { BangerError } from "../../model/errors.ts";
import { guestRefusals } from "../../model/guest_refusals.ts";
import type { StreamEnd } from "../../wire/mux_stream.ts";
import { exitCodes } from "../exit_code.ts";

/** How a command in a guest ended. */
export type GuestEnd =
  | { readonly how: "exited"; readonly code: number }
  | { readonly how: "signaled"; readonly signal: number };

/**
 * Reads the guest's last message about a command. It comes from the guest: any shape is possible.
 *
 * @throws BangerError `not_found` or `precondition` with a code of {@linkcode guestRefusals};
 * `unavailable` when the stream was cut; `untrusted` for a message of a wrong shape
 */
export function guestEnd(end: StreamEnd): GuestEnd {
  if (end.how === "reset") {
    throw new BangerError("unavailable", `Lost the command in the guest: ${end.reason}`, {
      hint: "banger vm list tells whether the VM still runs; banger vm ssh NAME goes back into it",
    });
  }
  const reply = record(end.reply);
  if (reply["ok"] === true) {
    const exit = record(record(reply["result"])["exit"]);
    const { how, code, signal } = exit;
    if (how === "exited" && isBetween(code, 0, 255)) return { how, code };
    if (how === "signaled" && isBetween(signal, 1, 64)) return { how, signal };
  } else if (reply["ok"] === false && typeof reply["message"] === "string") {
    throw refusal(String(reply["kind"]), reply["message"].slice(0, 4096));
  }
  throw new BangerError("untrusted", "Cannot use the guest's answer: it has a wrong shape");
}

/** The exit code that stands for `end`, as shells have it. */
export function codeOfEnd(end: GuestEnd): number {
  return end.how === "exited" ? end.code : 128 + end.signal;
}

/** The exit code when a command could not be started (as `docker run`), `undefined` otherwise. */
export function codeOfRefusal(error: unknown): number | undefined {
  if (!(error instanceof BangerError)) return undefined;
  if (error.code === guestRefusals.notFound) return exitCodes.commandNotFound;
  if (error.code === guestRefusals.notExecutable) return exitCodes.notExecutable;
  return undefined;
}

function refusal(kind: string, message: string): BangerError {
  const words = `Cannot run the command in the guest: ${message}`;
  switch (kind) {
    case "not_found":
      return new BangerError("not_found", words, { code: guestRefusals.notFound });
    case "not_executable":
      return new BangerError("precondition", words, { code: guestRefusals.notExecutable });
    case "invalid":
      return new BangerError("invalid", words);
    default:
      return new BangerError("internal", words);
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

function isBetween(value: unknown, lowest: number, highest: number): value is number {
  return Number.isInteger(value) && (value as number) >= lowest && (value as number) <= highest;
}
