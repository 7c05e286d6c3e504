import { value, wholeNumber } from "./command.ts";

/** `--timeout`: how long a guest has to power off, in seconds. */
export const stopTimeout = value(
  "SECONDS",
  "How long the guest has to power off",
  wholeNumber("timeout", 0, 3600),
);

/** What `vm.stop` and `vm.restart` take of it; `null` is the daemon's own bound. */
export function timeoutMsOf(seconds: number | undefined): number | null {
  return seconds === undefined ? null : seconds * 1000;
}
