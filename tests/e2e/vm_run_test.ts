/** `banger vm run` and what follows it, through the built program and real VMs. */
import assert from "node:assert/strict";
import { type Banger, isBuilt, withCachedBanger } from "../support/banger.ts";
import { skipUnless } from "../support/require.ts";

const firstRunMs = 8 * 60_000;
const runMs = 120_000;

function test(name: string, body: (banger: Banger) => Promise<void>): void {
  const ignore = skipUnless(name, isBuilt(), "build/bin/banger is not built");
  Deno.test({ name, ignore, fn: () => withCachedBanger(body) });
}

async function withRepository(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-e2e-repository-" });
  try {
    const script = `git init -q -b main && echo one > tracked && git add . &&
      git -c user.name=a -c user.email=a@example.test commit -qm first && echo two > untracked`;
    const { success } = await new Deno.Command("sh", { args: ["-c", script], cwd: dir }).output();
    assert.ok(success);
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

test("vm run copies the repository, runs in it, passes code and streams on, and deletes", (banger) =>
  withRepository(async (cwd) => {
    const script =
      "git log --format=%s; git status --short; cat tracked untracked; echo err >&2; exit 7";
    const args = ["vm", "run", "--rm", "--", "sh", "-c", script];
    const { code, stdout, stderr } = await banger.run(args, { cwd, timeoutMs: firstRunMs });
    assert.equal(code, 7, stderr);
    assert.equal(stdout, "first\n?? untracked\none\ntwo\n");
    assert.match(stderr, /\nerr\n/);
    assert.equal(await banger.ok(["vm", "list", "--json"]), '{\n  "vms": []\n}\n');
  }));

test("a VM that stays can be come back to: show, exec, stop, start, logs, delete", (banger) =>
  withRepository(async (cwd) => {
    const run = ["vm", "run", "--name", "stays", "--", "sh", "-c", "echo kept > note"];
    const { code, stderr } = await banger.run(run, { cwd, timeoutMs: runMs });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /banger vm ssh stays.*banger vm delete --force stays\n$/);
    assert.match(await banger.ok(["vm", "list"]), /\nstays +running +debian-bookworm/);
    assert.equal(await banger.ok(["vm", "exec", "stays", "--", "cat", "note"]), "kept\n");
    assert.equal(
      await banger.ok(["vm", "ssh", "stays", "--", "cat", "note"], { timeoutMs: runMs }),
      "kept\n",
    );
    const again = await banger.run([...run.slice(0, 4), "--no-workspace", "--", "true"]);
    assert.equal(again.code, 125);
    assert.match(again.stderr, /"stays"/);
    assert.equal((await banger.run(["vm", "delete", "stays"])).code, 4);
    await banger.ok(["vm", "stop", "stays"], { timeoutMs: runMs });
    assert.match(await banger.ok(["vm", "show", "stays"]), /\nState: +stopped\n/);
    await banger.ok(["vm", "start", "stays"], { timeoutMs: runMs });
    assert.equal(await banger.ok(["vm", "exec", "stays", "--", "cat", "note"]), "kept\n");
    assert.ok((await banger.ok(["vm", "logs", "stays"])).length > 0);
    await banger.ok(["vm", "delete", "--force", "stays"], { timeoutMs: runMs });
    assert.equal((await banger.run(["vm", "show", "stays"])).code, 3);
  }));

test("streams are binary, flow-controlled and end when they should", async (banger) => {
  await banger.ok(["vm", "run", "--no-workspace", "--name", "pipes", "--", "true"], {
    timeoutMs: runMs,
  });
  const stdin = crypto.getRandomValues(new Uint8Array(60_000));
  const echoed = await banger.run(["vm", "exec", "pipes", "--", "cat"], { stdin });
  assert.equal(echoed.code, 0, echoed.stderr);
  assert.deepEqual(echoed.stdoutBytes, stdin);
  const yes = await banger.script(
    'banger vm exec pipes -- yes | head -n 2; echo "${PIPESTATUS[0]}"; banger vm exec pipes -- sh -c "yes | head -n 1"',
  );
  assert.equal(yes.stdout, "y\ny\n141\ny\n", yes.stderr);
  const codes = await banger.script(
    `for c in "exit 42" 'kill -9 $$'; do banger vm exec pipes -- sh -c "$c"; echo $?; done
    banger vm exec pipes -- /no/such/program; echo $?; banger vm exec pipes -- /etc/passwd; echo $?`,
  );
  assert.equal(codes.stdout, "42\n137\n127\n126\n", codes.stderr);
});

test("on a terminal a shell opens in the copy, with a terminal of its own; its code is banger's", (banger) =>
  withRepository(async (cwd) => {
    const words = "tty; pwd; cat tracked; exit 5";
    const { stdout, stderr } = await banger.script(
      `echo '${words}' | timeout 100 script -qec "$PROGRAM vm run --rm" /dev/null; echo "code $?"`,
      { cwd },
    );
    assert.match(stdout, /\/dev\/pts\/\d+\r?\n\/root\/\S+\r?\none\r?\n/, stderr);
    assert.match(stdout, /code 5\n$/, stderr);
  }));

test("Ctrl-C while the VM boots leaves nothing; kill -9 of the CLI leaves nothing either", async (banger) => {
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 130], ["SIGKILL", 137]] as const) {
    const child = banger.start(["vm", "run", "--no-workspace", "--rm", "--", "sleep", "100"]);
    const output = Promise.all(
      [child.stdout, child.stderr].map((stream) => new Response(stream).text()),
    );
    await child.stdin.close();
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    child.kill(signal);
    const status = await child.status;
    await output;
    assert.equal(status.code, code, signal);
    await until(async () => await banger.ok(["vm", "list", "--json"]) === '{\n  "vms": []\n}\n');
    await until(async () =>
      !(await banger.processes()).some((line) => /qemu-system|passt/.test(line))
    );
  }
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 200; turn++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail("it did not come about in 20 s");
}
