/** A seeded sample of the fault matrix (`make faults` runs all of it), and of what it must not be in. */
import assert from "node:assert/strict";
import { isBuilt } from "../support/banger.ts";
import { namesIn } from "../support/end_to_end.ts";
import { canCompile } from "../support/fake_vmm/fake_vmm.ts";
import { GpgHome } from "../support/gpg_home.ts";
import { skipUnless } from "../support/require.ts";
import { sampleCells } from "../faults/sample.ts";
import { faultEnv } from "../faults/plan.ts";
import type { FaultRun } from "../faults/run_fault.ts";
import { sweep, worthTrying } from "../faults/sweep.ts";

/** Bound on the sample, in milliseconds; a busy machine does fewer runs in it. */
const sampleMs = 50_000;
/** So many it does on any. */
const fewest = 20;

function faultTest(name: string, fn: () => Promise<void>, needsCompiler = false): void {
  const ignore = skipUnless(name, isBuilt(), "build/bin/banger is not built") ||
    skipUnless(name, !needsCompiler || hasCompiler, "gcc is not installed") ||
    skipUnless(name, !needsCompiler || hasGpg, "gpg or gpg-agent is not installed");
  Deno.test({ name, ignore, fn });
}

const hasCompiler = await canCompile();
/** The catalog of the kernel under test is signed. */
const hasGpg = await GpgHome.isPossible();

faultTest("whatever goes wrong at whichever effect, nothing is lost or left", async () => {
  // Always the same sample, so that what it finds was not there before; make faults runs everything.
  const seed = Number(Deno.env.get("BANGER_FAULTS_SEED") ?? 1);
  const endMs = performance.now() + sampleMs;
  const runs: FaultRun[] = [];
  await sweep(
    sampleCells(seed),
    2,
    (run) => void runs.push(run),
    () => performance.now() > endMs && runs.length >= fewest,
  );
  const wrong = runs.filter(({ violations }) => violations.length > 0);
  assert.deepEqual(wrong, [], `BANGER_FAULTS_SEED=${seed} repeats it`);
}, true);

faultTest("the program that users get has no faults to inject", async () => {
  const dir = new URL("../../build/bundle/banger", import.meta.url).pathname;
  for (const name of await namesIn(dir)) {
    const text = await Deno.readTextFile(`${dir}/${name}`).catch(() => "");
    for (const mark of [...Object.values(faultEnv), "enospc", "kill_after"]) {
      assert.ok(!text.includes(mark), `${name} contains ${mark}`);
    }
  }
});

Deno.test("of effects alike four are tried, the first and the last among them, and all others", () => {
  const alike = Array.from({ length: 10 }, () => "write a");
  assert.deepEqual(worthTrying(alike), [1, 4, 7, 10]);
  const sockets = ["q", "a", "c", "0", "1"].map((name) => `remove ID/${name}`);
  const some = ["spawn b", undefined, ...sockets, "spawn b", undefined, "rename a"];
  assert.deepEqual(worthTrying(some), [1, 2, 3, 4, 6, 7, 8, 9, 10]);
});
