/** How a bounded program ended. */
export type BoundedEnd = "success" | "failure" | "timeout";

/** How a program runs: it inherits the output, its environment is added to ours. */
export interface BoundedOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** After this it gets SIGTERM, and SIGKILL five seconds later. */
  readonly limitMs: number;
}

/** Runs a program to its end, or to the end of its time. */
export async function runBounded(
  program: string,
  args: readonly string[],
  options: BoundedOptions,
): Promise<BoundedEnd> {
  const child = new Deno.Command(program, {
    args: [...args],
    cwd: options.cwd,
    env: { ...options.env },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  let timedOut = false;
  const timers = [
    setTimeout(() => {
      timedOut = true;
      child.kill("SIGTERM");
    }, options.limitMs),
    setTimeout(() => child.kill("SIGKILL"), options.limitMs + 5_000),
  ];
  try {
    const status = await child.status;
    if (timedOut) return "timeout";
    return status.success ? "success" : "failure";
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}
