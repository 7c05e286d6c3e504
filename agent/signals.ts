/** Linux signal numbers 1 to 31, as x86_64 and aarch64 have them (signal(7)). */
const names = (
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP " +
  "TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split(" ");

/** The number of `signal`; when the name is unknown it is told from `code`, which is 128 + number. */
export function signalNumber(signal: string, code: number): number {
  const index = names.indexOf(signal.replace(/^SIG/, ""));
  return index === -1 ? Math.max(1, code - 128) : index + 1;
}

/** Signals the process group that `pid` leads; `false` when everyone in it has exited. */
export function killGroup(pid: number, signal: Deno.Signal): boolean {
  try {
    Deno.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** The signal that a control message of a stream asks for, if it does. */
export function signalOf(message: unknown): Deno.Signal | undefined {
  const signal = (message as { signal?: unknown } | null)?.signal;
  const isKnown = typeof signal === "string" && /^(INT|TERM|HUP|KILL|QUIT)$/.test(signal);
  return isKnown ? `SIG${signal}` as Deno.Signal : undefined;
}
