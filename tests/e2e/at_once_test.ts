/** Many at once. */
import assert from "node:assert/strict";
import { firstRunMs, freshTest, namesIn, until } from "../support/end_to_end.ts";

freshTest(
  "ten lists on a fresh home start one daemon, two pulls share one download",
  async (banger) => {
    const lists = await Promise.all(
      Array.from({ length: 10 }, () => banger.run(["vm", "list", "--json"])),
    );
    for (const { code, stdout, stderr } of lists) {
      assert.deepEqual({ code, stdout }, { code: 0, stdout: '{\n  "vms": []\n}\n' }, stderr);
    }
    const daemons = async () =>
      (await banger.processes()).filter((line) => line.includes("daemon run")).length;
    // Those that came second end as soon as they see that they did.
    await until("one daemon is left", async () => await daemons() === 1, 10_000);

    const staging = `${banger.home}/.local/state/banger/staging`;
    let most = 0;
    const watch = setInterval(
      () => most = Math.max(most, [...Deno.readDirSync(staging)].length),
      20,
    );
    try {
      const pull = ["kernel", "pull", "debian-6.1-cloud"];
      const options = { timeoutMs: firstRunMs };
      await Promise.all([banger.ok(pull, options), banger.ok(pull, options)]);
    } finally {
      clearInterval(watch);
    }
    assert.equal(most, 1, "both are one pull");
    const { kernels } = JSON.parse(await banger.ok(["kernel", "list", "--json"]));
    assert.equal(kernels.length, 1);
    assert.deepEqual(await namesIn(staging), []);
    assert.equal((await namesIn(`${banger.home}/.local/state/banger/kernels`)).length, 1);
  },
);
