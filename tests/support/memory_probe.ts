const sampleEveryMs = 20;

/** Adds up the resident memory of processes, and keeps the most of all samples. Shared pages count for each. */
export class MemoryProbe implements AsyncDisposable {
  readonly #roots: () => readonly number[];
  readonly #isCounted: (commandLine: string) => boolean;
  readonly #running: Promise<void>;
  #peakKib = 0;
  #isStopped = false;

  /** Counts the processes at and below `roots` whose command line is accepted. */
  constructor(
    roots: () => readonly number[],
    isCounted: (commandLine: string) => boolean = () => true,
  ) {
    this.#roots = roots;
    this.#isCounted = isCounted;
    this.#running = this.#sample();
  }

  /** Ends the watching and tells the peak in MiB. */
  async stop(): Promise<number> {
    this.#isStopped = true;
    await this.#running;
    return this.#peakKib / 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #sample(): Promise<void> {
    while (!this.#isStopped) {
      let kib = 0;
      for (const pid of processesBelow(this.#roots())) {
        if (this.#isCounted(textOf(pid, "cmdline"))) kib += rssKib(pid);
      }
      this.#peakKib = Math.max(this.#peakKib, kib);
      await new Promise((resolve) => setTimeout(resolve, sampleEveryMs));
    }
  }
}

/** Whether a command line is the built banger's, whatever its role. */
export function isBangers(commandLine: string): boolean {
  return commandLine.includes("/main.js\0");
}

/** These processes and all those that they started. */
export function processesBelow(roots: readonly number[]): number[] {
  const found = [...roots];
  for (let index = 0; index < found.length; index++) {
    const dir = `/proc/${found[index]}/task`;
    try {
      for (const { name } of Deno.readDirSync(dir)) {
        const children = Deno.readTextFileSync(`${dir}/${name}/children`).split(" ");
        for (const child of children) if (child !== "") found.push(Number(child));
      }
    } catch {
      // It has ended.
    }
  }
  return [...new Set(found)];
}

/** A file of a process in /proc; empty when that has ended. */
export function textOf(pid: number, name: string): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/${name}`);
  } catch {
    return "";
  }
}

function rssKib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(textOf(pid, "status"))?.[1] ?? 0);
}
