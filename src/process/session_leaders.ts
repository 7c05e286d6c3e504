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
 * Running session leaders whose arguments contain `text`. Reads the process table, which needs full
 * permission; a process that ends meanwhile is left out.
 */
export function sessionLeaders(text: string): readonly SessionLeader[] {
  const found: SessionLeader[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^[1-9]\d*$/.test(name)) continue;
    try {
      const line = Deno.readTextFileSync(`/proc/${name}/cmdline`);
      if (!line.includes(text)) continue;
      const stat = parseProcStat(Deno.readTextFileSync(`/proc/${name}/stat`));
      const uid = uidLine.exec(Deno.readTextFileSync(`/proc/${name}/status`))?.[1];
      if (stat === undefined || uid === undefined || !isRunning(stat)) continue;
      if (stat.session !== stat.pid) continue;
      found.push({
        handle: { pid: stat.pid, startTicks: stat.startTicks },
        uid: Number(uid),
        argv: line.split("\0"),
      });
    } catch {
      // It has ended.
    }
  }
  return found;
}
