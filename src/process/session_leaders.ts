import type { ProcessHandle } from "./host_processes.ts";
import { isRunning, parseProcStat } from "./proc_stat.ts";

/** A process that leads a session of its own, as every program does that banger launched. */
export interface SessionLeader {
  readonly handle: ProcessHandle;
  /** Its real user. */
  readonly uid: number;
  readonly argv: readonly string[];
}

/** `/proc/PID/status`: real, effective, saved and file system user. */
const uidLine = /^Uid:\t(\d+)/m;

/**
 * Looks at the process table, which needs full permission, for running session leaders whose arguments contain `text`:
 * yields after each process, whether or not it is one. One that ends meanwhile is none.
 */
export function* sessionLeaders(text: string): Generator<SessionLeader | undefined> {
  for (const { name } of Deno.readDirSync("/proc")) {
    if (/^[1-9]\d*$/.test(name)) yield leaderOf(name, text);
  }
}

function leaderOf(pid: string, text: string): SessionLeader | undefined {
  try {
    const line = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
    if (!line.includes(text)) return undefined;
    const stat = parseProcStat(Deno.readTextFileSync(`/proc/${pid}/stat`));
    if (stat === undefined || !isRunning(stat) || stat.session !== stat.pid) return undefined;
    const uid = uidOf(pid);
    if (uid === undefined) return undefined;
    const handle = { pid: stat.pid, startTicks: stat.startTicks };
    return { handle, uid, argv: line.split("\0") };
  } catch {
    // It has ended.
    return undefined;
  }
}

/**
 * The directory of a process is its user's, and costs a sixth of reading its status. It is root's when others may not look
 * into the process, as into one that runs with the rights of two users (proc(5)): only its status tells then.
 */
function uidOf(pid: string): number | undefined {
  const { uid } = Deno.lstatSync(`/proc/${pid}`);
  if (uid !== 0 && uid !== null) return uid;
  const real = uidLine.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
  return real === undefined ? undefined : Number(real);
}
