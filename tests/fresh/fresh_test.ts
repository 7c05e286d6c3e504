/** The README's two commands on a machine that has nothing; `run.sh` makes the machine. */
import assert from "node:assert/strict";
import { runBounded } from "../support/run_bounded.ts";
import { skipUnless } from "../support/require.ts";

const root = new URL("../..", import.meta.url).pathname;
const wish = Deno.env.get("BANGER_TEST_FRESH");

function reasonNotTo(command: string): string | undefined {
  if (wish === "inside") return "this is that machine";
  if (Deno.uid() !== 0) return "making a machine needs root";
  const wanted = wish === "all" || wish === command;
  return wanted ? undefined : `it takes long: set BANGER_TEST_FRESH to ${command} or all`;
}

/** Longest that each may take with the making of the machine, in minutes; run.sh bounds its parts. */
const limits = { demo: 20, test: 60 } as const;

for (const [command, minutes] of Object.entries(limits)) {
  const reason = reasonNotTo(command);
  const name = `make ${command} works on a bookworm with only node, npm, git and make`;
  Deno.test({
    name,
    ignore: skipUnless(name, reason === undefined, reason ?? ""),
    async fn() {
      const end = await runBounded("tests/fresh/run.sh", [command], {
        cwd: root,
        env: {},
        limitMs: minutes * 60_000,
      });
      assert.equal(end, "success");
    },
  });
}
