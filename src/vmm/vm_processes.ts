import type { ProcessHandle } from "../process/host_processes.ts";
import type { SessionLeader } from "../process/session_leaders.ts";

/** A program that runs for a VM. */
export interface VmProcess {
  /** Name of the VM's run directory: the first 12 digits of its id. */
  readonly run: string;
  readonly program: "qemu" | "passt" | "net_filter";
  readonly handle: ProcessHandle;
}

/**
 * The programs among `leaders` that were launched for VMs whose sockets are below `runtimeDir`, told by the
 * sockets that their arguments name; the shell that is about to become one has the same arguments.
 */
export function vmProcesses(
  leaders: readonly SessionLeader[],
  runtimeDir: string,
): readonly VmProcess[] {
  const found: VmProcess[] = [];
  for (const { argv, handle } of leaders) {
    const words = argv.at(-1) === "" ? argv.slice(0, -1) : argv;
    const named = qemuRun(words, runtimeDir) ?? passtRun(words, runtimeDir) ??
      filterRun(words, runtimeDir);
    if (named !== undefined) found.push({ ...named, handle });
  }
  return found;
}

type Named = Pick<VmProcess, "run" | "program">;

/** See `qemu/command_line.ts`: in a chardev a comma is written twice. */
function qemuRun(words: readonly string[], runtimeDir: string): Named | undefined {
  const start = "socket,id=qmp,path=";
  const chardev = words.find((word, at) => word.startsWith(start) && words[at - 1] === "-chardev");
  const path = chardev?.slice(start.length).replace(/,server=on,wait=off$/, "");
  return named("qemu", path?.replaceAll(",,", ","), "q", runtimeDir);
}

/** See `passt/command_line.ts`. */
function passtRun(words: readonly string[], runtimeDir: string): Named | undefined {
  return named("passt", words[words.indexOf("--socket") + 1], "n", runtimeDir);
}

/** See `netfilter/start_net_filter.ts`: the arguments end with both sockets and the MAC address. */
function filterRun(words: readonly string[], runtimeDir: string): Named | undefined {
  const [listen, passt] = words.slice(-3);
  const own = named("net_filter", listen, "f", runtimeDir);
  return own?.run === named("net_filter", passt, "n", runtimeDir)?.run ? own : undefined;
}

function named(
  program: VmProcess["program"],
  path: string | undefined,
  socket: string,
  runtimeDir: string,
): Named | undefined {
  if (path === undefined || !path.startsWith(`${runtimeDir}/`)) return undefined;
  const [run = "", name, ...more] = path.slice(runtimeDir.length + 1).split("/");
  const fits = /^[0-9a-f]{12}$/.test(run) && name === socket && more.length === 0;
  return fits ? { program, run } : undefined;
}
