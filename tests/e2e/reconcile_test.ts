/** `banger daemon reconcile`: what is told is what is done, and a dry run changes nothing. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Banger } from "../support/banger.ts";
import { namesIn, vmsOf } from "../support/end_to_end.ts";
import { fakeVmTest, nothingRuns } from "../support/fake_vmm/fake_test.ts";

interface Mended {
  readonly vmId: string | null;
  readonly name: string | null;
  readonly action: string;
  readonly failure: string | null;
}

async function reconcile(banger: Banger, ...options: string[]): Promise<readonly Mended[]> {
  const { mended } = JSON.parse(await banger.ok(["daemon", "reconcile", "--json", ...options]));
  return mended;
}

function actionsOf(mended: readonly Mended[]): readonly string[] {
  return mended.map(({ name, vmId, action }) => `${action} ${name ?? vmId}`).sort();
}

fakeVmTest(
  "what does not agree is told, and mended only without --dry-run",
  async (banger, fake) => {
    for (const name of ["rests", "gone", "starts", "runs"]) {
      await banger.ok(["vm", "create", "--name", name]);
    }
    await banger.ok(["vm", "start", "runs"]);
    assert.deepEqual(await reconcile(banger), []);
    assert.equal((await banger.run(["daemon", "reconcile"])).stderr, "Everything agrees\n");

    // As if a daemon had been killed in the middle of things, behind this one's back.
    const idOf = async (name: string) => (await vmsOf(banger)).find((vm) => vm.name === name)!.id;
    {
      using store = new DatabaseSync(fake.paths.storeFile, { timeout: 5_000 });
      const set = store.prepare("UPDATE vms SET state = ? WHERE name = ?");
      set.run("deleting", "gone");
      set.run("starting", "starts");
    }
    const orphan = "00000000000000aa";
    await Deno.mkdir(fake.paths.vm(await idOf("rests")).runDir);
    await Deno.mkdir(fake.paths.vm(orphan).stateDir);
    const expected = ["delete gone", "end starts", `remove ${orphan}`, "tidy rests"];

    const told = await reconcile(banger, "--dry-run");
    assert.deepEqual(actionsOf(told), expected);
    assert.deepEqual(await reconcile(banger, "--dry-run"), told, "nothing has changed");
    const shown = await banger.ok(["daemon", "reconcile", "--dry-run"]);
    assert.match(shown, /^VM +ACTION +WHY\n/);
    assert.match(shown, /\nrests +tidy +it is created and has a socket directory\n/);

    assert.deepEqual(await reconcile(banger), told);
    assert.deepEqual(await reconcile(banger), []);
    const states = (await vmsOf(banger)).map(({ name, state }) => `${name} ${state}`).sort();
    assert.deepEqual(states, ["rests created", "runs running", "starts created"]);
    assert.ok(!(await namesIn(fake.paths.vmsDir)).includes(orphan));
    await banger.ok(["vm", "delete", "--force", "rests", "runs", "starts"]);
    await nothingRuns(banger, fake);
  },
);

fakeVmTest(
  "a dry run does not start a daemon, which would mend everything first",
  async (banger) => {
    const { code, stderr } = await banger.run(["daemon", "reconcile", "--dry-run"]);
    assert.equal(code, 1);
    assert.match(stderr, /^Error: Cannot reach the daemon: it does not run\n/);
  },
);
