/** A machine ends without banger having asked for it. */
import assert from "node:assert/strict";
import {
  firstRunMs,
  guestProcesses,
  until,
  vmmPids,
  vmsOf,
  vmTest,
} from "../support/end_to_end.ts";

const noticedMs = 2_000;

/** The file that backs the guest's memory is the first that a VMM inherits. */
const memoryFileOf = (pid: number) => Deno.readLink(`/proc/${pid}/fd/3`);

vmTest(
  "a VMM that is killed is noticed within 2 s, with the reason, and it starts again",
  async (banger) => {
    const run = ["vm", "run", "--no-workspace", "--name", "ends", "--", "true"];
    await banger.ok(run, { timeoutMs: firstRunMs });
    const shown = async () => {
      const [vm] = await vmsOf(banger);
      assert.ok(vm !== undefined);
      return vm;
    };
    const stopped = async () => (await shown()).state === "stopped";

    const pids = await vmmPids(await shown());
    for (const pid of pids) assert.ok((await memoryFileOf(pid)).startsWith("/dev/shm/"));
    for (const pid of pids) Deno.kill(pid, "SIGKILL");
    await until("the end is noticed", stopped, noticedMs);
    assert.match((await shown()).failure ?? "", /killed by SIGKILL/);
    assert.match(await banger.ok(["vm", "show", "ends"]), /\nState: +stopped: .*SIGKILL/);
    assert.deepEqual(await guestProcesses(banger), []);
    const { id } = await shown();
    const left = await Array.fromAsync(
      Deno.readDir(`/dev/shm/banger-${Deno.uid()}`),
      (dir) => dir.name,
    );
    for (const dir of left) {
      await assert.rejects(Deno.lstat(`/dev/shm/banger-${Deno.uid()}/${dir}/${id}`));
    }
    const exec = await banger.run(["vm", "exec", "ends", "--", "true"]);
    assert.equal(exec.code, 125);
    assert.match(exec.stderr, /it is stopped\n {2}hint: banger vm start ends/);

    await banger.ok(["vm", "start", "ends"], { timeoutMs: firstRunMs });
    assert.equal((await shown()).failure, null);
  },
);
