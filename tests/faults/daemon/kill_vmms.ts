/** How long a killed process may take to be gone, in milliseconds. */
const goneMs = 2_000;

/** Kills all VMMs that are the program `fake` but those of the VMs `spared`, and waits until they are gone. */
export function killVmms(
  fake: string,
  spared: readonly string[],
  kill: (pid: number, signal: "SIGKILL") => void,
): void {
  const killed: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    const line = /^\d+$/.test(name) ? commandLineOf(name) : "";
    if (!line.startsWith(`${fake}\0`)) continue;
    const vm = /guest=banger-([0-9a-f]{16})/.exec(line)?.[1];
    if (vm === undefined || spared.includes(vm)) continue;
    try {
      kill(Number(name), "SIGKILL");
      killed.push(Number(name));
    } catch {
      // It has ended by itself.
    }
  }
  const endMs = performance.now() + goneMs;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  while (performance.now() < endMs && killed.some((pid) => commandLineOf(`${pid}`) !== "")) {
    Atomics.wait(pause, 0, 0, 1);
  }
}

/** Empty for a process that is gone, or a zombie. */
function commandLineOf(pid: string): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`);
  } catch {
    return "";
  }
}
