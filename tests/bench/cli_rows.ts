import type { BenchContext, BenchRow } from "./table.ts";

/**
 * Rows 1 and 2: wall time of `banger --help` and of `banger vm list` with the daemon running, over
 * an empty program of the same Deno.
 */
export async function* cliRows(context: BenchContext): AsyncGenerator<BenchRow> {
  const { banger, pairs, vmCount } = context;
  await banger.ok(["vm", "list"]);
  const empty = `${banger.home}/empty.ts`;
  await Deno.writeTextFile(empty, "");
  const program = new URL("../../build/bin/banger", import.meta.url).pathname;
  const commands = [
    [Deno.execPath(), "run", empty],
    [program, "--help"],
    [program, "vm", "list"],
  ];
  const times = commands.map((): number[] => []);
  for (let pair = -2; pair < pairs; pair++) {
    // Forwards and backwards in turn, so that none always follows the same other.
    const order = [...commands.entries()];
    for (const [index, command] of pair % 2 === 0 ? order : order.reverse()) {
      const tookMs = await timed(command, banger.env);
      if (pair >= 0) times[index]?.push(tookMs);
    }
  }
  const [floor = [], help = [], list = []] = times;
  const shared = { floorName: "empty `deno run`", unit: "ms", floor } as const;
  yield { ...shared, row: 1, name: "`banger --help`", own: help, target: 1.15 };
  yield { ...shared, row: 2, name: `\`banger vm list\`, ${vmCount} VMs`, own: list, target: 1.7 };
}

async function timed(
  [file = "", ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const command = new Deno.Command(file, {
    args,
    env,
    clearEnv: true,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });
  const startMs = performance.now();
  const { success } = await command.spawn().status;
  const tookMs = performance.now() - startMs;
  if (!success) throw new Error(`${file} ${args.join(" ")} failed`);
  return tookMs;
}
