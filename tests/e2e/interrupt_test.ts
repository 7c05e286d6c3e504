/** Ctrl-C at each stage of `vm run`: nothing of the VM is left. */
import assert from "node:assert/strict";
import {
  freshTest,
  guestProcesses,
  namesIn,
  stateDirOf,
  until,
  vmsOf,
  vmTest,
  WatchedRun,
} from "../support/end_to_end.ts";

// `exec`: a SIGINT that comes while dash starts a program of its own, it neither follows nor hands on.
const script = "echo it is up; exec sleep 300";
const run = ["vm", "run", "--no-workspace", "--rm", "--", "sh", "-c", script];

freshTest("Ctrl-C while a first run pulls leaves nothing, and no build goes on", async (banger) => {
  await banger.ok(["vm", "list"]);
  const dirs = ["staging", "vms", "images"].map((name) =>
    `${banger.home}/.local/state/banger/${name}`
  );
  const pulling = new WatchedRun(banger, run);
  await until("it pulls", async () => (await namesIn(dirs[0] ?? "")).length > 0);
  pulling.kill("SIGINT");
  assert.equal(await pulling.end(), 130, pulling.stderr);
  for (const dir of dirs) assert.deepEqual(await namesIn(dir), [], dir);
  assert.deepEqual(await vmsOf(banger), []);
});

vmTest("Ctrl-C while a repository is copied: nothing is left", async (banger) => {
  const repository = await Deno.makeTempDir({ prefix: "banger-copied-" });
  try {
    // Random bytes, in a file and once more in git's: seconds to copy into an emulated guest.
    const made = await banger.script(
      `cd ${repository} && git init -q && head -c 40000000 /dev/urandom >large && git add . &&
      git -c user.name=a -c user.email=a@example.test commit -qm large`,
    );
    assert.equal(made.code, 0, made.stderr);
    const going = new WatchedRun(banger, ["vm", "run", "--", "true"], repository);
    await going.said(/==> Setting up the guest … done/);
    await new Promise((done) => setTimeout(done, 300));
    going.kill("SIGINT");
    assert.equal(await going.end(), 130, going.stderr);
    assert.match(going.stderr, /Error: Interrupted/);
    assert.doesNotMatch(going.stderr, /Copying the repository … done/);
    assert.deepEqual(await vmsOf(banger), []);
    await until("its processes end", async () => (await guestProcesses(banger)).length === 0);
    assert.deepEqual(await namesIn(`${await stateDirOf(banger)}/vms`), []);
  } finally {
    await Deno.remove(repository, { recursive: true });
  }
});

vmTest(
  "Ctrl-C while it connects, launches, boots, sets up, runs: nothing is left",
  async (banger) => {
    const stages: readonly (readonly [what: string, reached: RegExp | number, code: number])[] = [
      ["connect", 120, 130],
      ["launch", 600, 130],
      ["boot", /==> Starting the VM … done/, 130],
      ["identity", /==> Booting … done/, 130],
      ["hand over", /==> Setting up the guest … done/, 130],
      ["command", /it is up/, 130],
    ];
    for (const [what, reached, code] of stages) {
      const going = new WatchedRun(banger, run);
      if (typeof reached === "number") await new Promise((done) => setTimeout(done, reached));
      else await going.said(reached);
      going.kill("SIGINT");
      assert.equal(await going.end(), code, `${what}: ${going.stderr}`);
      assert.deepEqual(await vmsOf(banger), [], what);
      await until(`${what}: its processes end`, async () => {
        return (await guestProcesses(banger)).length === 0;
      });
      assert.deepEqual(await namesIn(`${await stateDirOf(banger)}/vms`), [], what);
    }
  },
);

vmTest("a guest's first command ignores no signal, nor does any other", async (banger) => {
  const ignored = ["grep", "SigIgn", "/proc/self/status"];
  const none = "SigIgn:\t0000000000000000\n";
  const words = ["vm", "run", "--no-workspace", "--name", "signals", "--", ...ignored];
  try {
    assert.equal((await banger.run(words)).stdout, none);
    assert.equal(await banger.ok(["vm", "exec", "signals", "--", ...ignored]), none);
  } finally {
    await banger.run(["vm", "delete", "--force", "signals"]);
  }
});
