/** VMs that nobody uses. */
import assert from "node:assert/strict";
import { firstRunMs, until, vmsOf, vmTest } from "../support/end_to_end.ts";

vmTest(
  "a VM that nobody uses is stopped, one that somebody uses or that says never is not",
  async (banger) => {
    for (const name of ["unused", "used", "never"]) {
      const options = ["--start", "--memory", "512M", "--name", name];
      if (name === "never") options.push("--auto-stop", "never");
      await banger.ok(["vm", "create", ...options], { timeoutMs: firstRunMs });
    }
    const sleeper = banger.run(["vm", "exec", "used", "--", "sleep", "600"], {
      timeoutMs: 700_000,
    });
    try {
      const states = async () =>
        Object.fromEntries((await vmsOf(banger)).map(({ name, state }) => [name, state]));
      await until(
        "the unused one stops",
        async () => (await states())["unused"] === "stopped",
        300_000,
      );
      assert.deepEqual(await states(), { unused: "stopped", used: "running", never: "running" });
      const shown = await banger.ok(["vm", "show", "unused"]);
      assert.match(shown, /^State: +stopped: Stopped by itself: not used for 1 min$/m);
      assert.match(await banger.ok(["vm", "show", "never"]), /^Auto-stop: +never$/m);
    } finally {
      await banger.run(["vm", "delete", "--all", "--force"], { timeoutMs: 60_000 });
      await sleeper;
    }
  },
  'stats_poll_interval = "5s"\nauto_stop_stale_after = "1m"\n',
);
