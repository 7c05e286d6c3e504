/** A guest that does not become ready in time: two seconds are too short for any. */
import assert from "node:assert/strict";
import {
  guestProcesses,
  namesIn,
  refused,
  stateDirOf,
  vmsOf,
  vmTest,
} from "../support/end_to_end.ts";

vmTest(
  "a guest that never becomes ready: the error has the console's end, the VM can be looked at",
  async (banger) => {
    // What a run needs is there before the clock of two seconds begins.
    await banger.ok(["kernel", "list"]);
    const run = ["vm", "run", "--no-workspace"];
    const words = /Error: Cannot .*VM "late".*2 s/;
    const gone = await refused(
      banger,
      [...run, "--rm", "--name", "late", "--", "true"],
      125,
      words,
    );
    assert.match(gone.stderr, /\n {2}\| .+\n/, "the end of its console is shown");
    assert.deepEqual(await vmsOf(banger), []);
    assert.deepEqual(await guestProcesses(banger), []);
    assert.deepEqual(await namesIn(`${await stateDirOf(banger)}/vms`), []);

    await refused(banger, [...run, "--name", "late", "--", "true"], 125, words);
    const [vm] = await vmsOf(banger);
    assert.equal(vm?.state, "failed");
    assert.match(vm.failure ?? "", /2 s/);
    assert.deepEqual(await guestProcesses(banger), []);
    assert.match(await banger.ok(["vm", "list"]), /\nlate +failed/);
    assert.match(await banger.ok(["vm", "logs", "late"]), /\S/);
    await banger.ok(["vm", "delete", "late"]);
    assert.deepEqual(await vmsOf(banger), []);
  },
  'boot_timeout = "2s"\n',
);
