/** What `/proc/PID/stat` tells about a process that banger cares for. */
export interface ProcStat {
  readonly pid: number;
  /** The program's name, at most 15 bytes (`TASK_COMM_LEN`). */
  readonly comm: string;
  /** One letter: `R`, `S`, `D`, `Z` (ended, not waited for), `X` (dead), … */
  readonly state: string;
  /** Pid of the leader of its session (field 6). */
  readonly session: number;
  /** Field 22: clock ticks after boot. */
  readonly startTicks: number;
}

/**
 * Parses a line of `/proc/PID/stat` (proc(5)); `undefined` when it is not one. The name may hold
 * spaces and parentheses, so it ends at the last closing one.
 */
export function parseProcStat(text: string): ProcStat | undefined {
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  if (open < 1 || close < open) return undefined;
  const pid = wholeNumber(text.slice(0, open).trim());
  const fields = text.slice(close + 1).trimStart().split(" ", 20);
  const startTicks = wholeNumber(fields[19]);
  const session = wholeNumber(fields[3]);
  const state = fields[0];
  if (session === undefined) return undefined;
  if (pid === undefined || startTicks === undefined || state === undefined) return undefined;
  if (!/^[A-Za-z]$/.test(state)) return undefined;
  return { pid, comm: text.slice(open + 1, close), state, session, startTicks };
}

function wholeNumber(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,15}$/.test(text)) return undefined;
  return Number(text);
}

/** Whether the kernel still runs it: an ended process that nobody waited for does not count. */
export function isRunning(stat: ProcStat): boolean {
  return stat.state !== "Z" && stat.state !== "X" && stat.state !== "x";
}
