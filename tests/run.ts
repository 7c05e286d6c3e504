/**
 * Runs every test and ends with one line over all of them: `N passed, N failed, N skipped`.
 *
 * usage: deno run --allow-all tests/run.ts [check|unit|build|integration|e2e|fresh|FILE]...
 *
 * First the gate (format, lint, types, architecture and unit tests), then each file that needs real
 * parts in a process of its own, one after the other and bounded in time. Exit code 1 on a failure.
 */
import { addCounts, countTests, type TestCounts } from "./support/junit.ts";
import { runBounded } from "./support/run_bounded.ts";

const root = new URL("..", import.meta.url).pathname;
const fileLimitMs = 40 * 60_000;
const stages = ["check", "unit", "build", "integration", "e2e", "fresh"] as const;

interface Skip {
  readonly name: string;
  readonly reason: string;
}

/** Runs `deno` with `args`; true when it succeeded. */
async function deno(args: readonly string[], env: Record<string, string> = {}): Promise<boolean> {
  const end = await runBounded(Deno.execPath(), args, { cwd: root, env, limitMs: fileLimitMs });
  if (end === "timeout") say(`timed out after ${fileLimitMs / 60_000} minutes: ${args.join(" ")}`);
  return end === "success";
}

/** Runs test files in one process and counts; a crash before the report counts as one failure. */
async function testFiles(task: readonly string[], work: string): Promise<TestCounts> {
  const report = `${work}/${crypto.randomUUID()}.xml`;
  const ok = await deno([...task, `--junit-path=${report}`], {
    BANGER_TEST_SKIPS: `${work}/skips`,
  });
  const counted = await Deno.readTextFile(report).then(countTests).catch(() => undefined);
  const name = task.at(-1) ?? "";
  if (counted === undefined) return oneFailure(name, "it ended without a report");
  // A file that cannot be loaded fails the run, but has no test that could be counted.
  return !ok && counted.failed === 0
    ? addCounts(counted, oneFailure(name, "it ended with an error outside its tests"))
    : counted;
}

function oneFailure(name: string, reason: string): TestCounts {
  return { passed: 0, failed: 1, skipped: 0, failures: [{ name, reason }] };
}

const nothing: TestCounts = { passed: 0, failed: 0, skipped: 0, failures: [] };

async function runStage(stage: string, work: string): Promise<TestCounts> {
  switch (stage) {
    case "check":
      return await deno(["task", "--quiet", "check"])
        ? nothing
        : oneFailure("check", "format, lint or types: see above");
    case "unit":
      return await testFiles(["task", "--quiet", "test:unit"], work);
    default: {
      let counts = nothing;
      const files = stage.endsWith(".ts") ? [stage] : await testFilesIn(`tests/${stage}`);
      for (const file of files) {
        say(`\n== ${file}`);
        counts = addCounts(
          counts,
          await testFiles(["test", "--allow-all", "--no-check", file], work),
        );
      }
      return counts;
    }
  }
}

async function testFilesIn(dir: string): Promise<string[]> {
  const files: string[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(`${root}${dir}`)) {
      if (isFile && name.endsWith("_test.ts")) files.push(`${dir}/${name}`);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files.sort();
}

async function readSkips(path: string): Promise<Skip[]> {
  const text = await Deno.readTextFile(path).catch(() => "");
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Skip);
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

const wanted: readonly string[] = Deno.args.length > 0 ? Deno.args : stages;
const work = await Deno.makeTempDir({ prefix: "banger-tests-" });
let total = nothing;
try {
  for (const stage of wanted) {
    const startedMs = performance.now();
    say(`\n== ${stage}`);
    const counts = await runStage(stage, work);
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    say(
      `-- ${stage}: ${counts.passed} passed, ${counts.failed} failed, ` +
        `${counts.skipped} skipped in ${seconds} s`,
    );
    total = addCounts(total, counts);
  }
  say("");
  for (const { name, reason } of await readSkips(`${work}/skips`)) {
    say(`skipped: ${name}: ${reason}`);
  }
  for (const { name, reason } of total.failures) say(`failed: ${name}: ${reason}`);
} finally {
  await Deno.remove(work, { recursive: true });
}
say(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
Deno.exit(total.failed === 0 ? 0 : 1);
