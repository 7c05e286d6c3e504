/** Values that depend on what is there: the image's size, the names in use. */
import assert from "node:assert/strict";
import { firstRunMs, refused, vmsOf, vmTest } from "../support/end_to_end.ts";

vmTest(
  "a disk smaller than the image and a taken name are refused, and change nothing",
  async (banger) => {
    await banger.ok(["vm", "create", "--name", "taken"], { timeoutMs: firstRunMs });
    const before = await vmsOf(banger);
    const run = ["vm", "run", "--no-workspace", "--name"];
    const small =
      /Cannot use a disk of 0\.5 GiB: image "debian-bookworm" needs .* GiB\n {2}hint: Leave --disk out/;
    await refused(banger, ["vm", "create", "--disk", "512M"], 2, small);
    await refused(banger, [...run, "small", "--disk", "512M", "--", "true"], 125, small);
    const taken = /Cannot create VM "taken": the name is taken\n {2}hint: banger vm delete taken/;
    await refused(banger, ["vm", "create", "--name", "taken"], 4, taken);
    await refused(banger, [...run, "taken", "--", "true"], 125, taken);
    const refusals: readonly (readonly [readonly string[], RegExp])[] = [
      [["--memory", "255M"], /at least 256 MiB are needed/],
      [["--cpus", "10000"], /a whole number from 1 to 64/],
      [["--name", "x".repeat(300)], /it has 300 characters/],
      [["--name", "-rf"], /it starts with a hyphen/],
      [["--name", "../x"], /characters that are not allowed/],
    ];
    for (const [options, words] of refusals) {
      await refused(banger, ["vm", "run", "--no-workspace", ...options, "--", "true"], 125, words);
    }
    assert.deepEqual(await vmsOf(banger), before);
  },
);
