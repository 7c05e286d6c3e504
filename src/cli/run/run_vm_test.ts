import assert from "node:assert/strict";
import { BangerError } from "../../model/errors.ts";
import { FakeOutput, runFake } from "../testdata/fake_context.ts";
import { FakeDaemon } from "../testdata/fake_daemon.ts";

async function withGuest(
  body: (daemon: FakeDaemon, repository: string) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "banger-run-test-" });
  try {
    await Deno.mkdir(`${root}/guest/root`, { recursive: true });
    await makeRepository(`${root}/my repo`);
    await body(new FakeDaemon(`${root}/guest`), `${root}/my repo`);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function makeRepository(dir: string): Promise<void> {
  await Deno.mkdir(dir);
  const script = `git init -q -b main . && echo one > tracked && git add . &&
    git -c user.name=a -c user.email=a@example.test commit -qm first && echo two > untracked`;
  const { success } = await new Deno.Command("sh", { args: ["-c", script], cwd: dir }).output();
  assert.ok(success);
}

const surroundings = (daemon: FakeDaemon, cwd: string) => ({
  connect: () => daemon.port(),
  cwd,
  env: { HOME: "/nonexistent" },
});

Deno.test("vm run copies the repository, runs the command there and passes its code on", () =>
  withGuest(async (daemon, repository) => {
    const script = "git log --format=%s; git status --short; pwd; exit 7";
    const argv = ["vm", "run", "--", "sh", "-c", script];
    const { code, out, err } = await runFake(argv, surroundings(daemon, repository));
    assert.equal(code, 7, err.text);
    assert.equal(out.text, `first\n?? untracked\n${daemon.guestRoot}/root/my-repo\n`);
    assert.match(err.text, /==> Booting the VM … done \(2\.9 s\)/);
    assert.match(err.text, /==> Copying the repository … done/);
    assert.match(
      err.text,
      /VM "my-repo" stays\. Come back: banger vm ssh my-repo · remove it: banger vm delete/,
    );
    assert.deepEqual(daemon.methods, ["vm.create", "vm.exec", "vm.exec", "vm.release"]);
    assert.equal(daemon.openLinks, 0);
    const entries = await Array.fromAsync(Deno.readDir(`${daemon.guestRoot}/root`));
    const staging = entries.map(({ name }) => name);
    assert.deepEqual(staging, ["my-repo"]);
  }));

Deno.test("vm run --rm deletes the VM; --timings tells what took how long; --quiet says nothing", () =>
  withGuest(async (daemon, repository) => {
    const argv = ["vm", "run", "--rm", "--quiet", "--timings", "--", "true"];
    const { code, out, err } = await runFake(argv, surroundings(daemon, repository));
    assert.equal(code, 0);
    assert.equal(out.text, "");
    assert.deepEqual(daemon.methods.at(-1), "vm.delete");
    assert.deepEqual(daemon.vms, []);
    assert.match(err.text, /^STAGE +TOOK\nStarting banger +\d+ ms\n/);
    assert.match(err.text, /\nDeleting the VM +\d+ ms\nEverything +\d+ ms/);
  }));

Deno.test("vm run outside of a repository fails before anything is started", () =>
  withGuest(async (daemon) => {
    const argv = ["vm", "run", "--", "true"];
    const { code, err } = await runFake(argv, surroundings(daemon, daemon.guestRoot));
    assert.equal(code, 125);
    assert.match(err.text, /it is not in a git repository\n {2}hint: banger vm run --no-workspace/);
    assert.deepEqual(daemon.methods, []);
  }));

Deno.test("vm run --no-workspace needs no repository and lands in the home directory", () =>
  withGuest(async (daemon) => {
    const argv = ["vm", "run", "--no-workspace", "-e", "A=b c", "--", "sh", "-c", "pwd; echo $A"];
    const { code, out } = await runFake(argv, surroundings(daemon, daemon.guestRoot));
    assert.equal(code, 0);
    assert.equal(out.text, `${daemon.guestRoot}/root\nb c\n`);
  }));

Deno.test("vm run --branch makes the branch in the copy only", () =>
  withGuest(async (daemon, repository) => {
    const argv = ["vm", "run", "--rm", "--branch", "topic/x", "--", "git", "branch"];
    const { code, out } = await runFake(argv, surroundings(daemon, repository));
    assert.equal(code, 0);
    assert.equal(out.text, "  main\n* topic/x\n");
    const host = await new Deno.Command("git", { args: ["branch"], cwd: repository }).output();
    assert.equal(new TextDecoder().decode(host.stdout), "* main\n");
  }));

Deno.test("vm run: 127 and 126 when the command cannot be run, 128 + n when a signal ends it", () =>
  withGuest(async (daemon, repository) => {
    const codeOf = async (...command: string[]) => {
      const argv = ["vm", "run", "--no-workspace", "--rm", "--", ...command];
      return (await runFake(argv, surroundings(daemon, repository))).code;
    };
    assert.equal(await codeOf("/no/such/program"), 127);
    assert.equal(await codeOf("/etc/passwd"), 126);
    assert.equal(await codeOf("sh", "-c", "kill -9 $$"), 137);
    assert.equal(await codeOf("sh", "-c", "exit 255"), 255);
  }));

Deno.test("vm run passes bytes both ways unchanged, much more than any window", () =>
  withGuest(async (daemon) => {
    const chunk = crypto.getRandomValues(new Uint8Array(64 * 1024));
    const count = 512;
    const stdin = Array.from({ length: count }, () => chunk);
    const argv = ["vm", "run", "--no-workspace", "--rm", "--", "cat"];
    const { code, out } = await runFake(argv, { ...surroundings(daemon, "/"), stdin });
    assert.equal(code, 0);
    assert.equal(out.bytes, count * chunk.length);
    assert.deepEqual(out.all.subarray(-chunk.length), chunk);
  }));

Deno.test("vm run ends the guest's command when nobody reads the output any more", () =>
  withGuest(async (daemon) => {
    const out = new FakeOutput();
    out.closeAfterBytes = 100_000;
    const argv = ["vm", "run", "--no-workspace", "--rm", "--", "yes"];
    const { code } = await runFake(argv, { ...surroundings(daemon, "/"), out });
    assert.equal(code, 141);
    assert.deepEqual(daemon.methods.at(-1), "vm.delete");
  }));

Deno.test("Ctrl-C while the VM boots cancels, waits until that is unwound and exits with 130", () =>
  withGuest(async (daemon, repository) => {
    daemon.bootForever = true;
    const { code, err } = await runFake(["vm", "run", "--", "true"], {
      ...surroundings(daemon, repository),
      onReady: (send) => daemon.onCreate = () => void setTimeout(() => send("SIGINT"), 20),
    });
    assert.equal(code, 130);
    assert.match(err.text, /Error: Interrupted|Error: Cancelled/);
    assert.ok(daemon.methods.includes("operation.cancel"));
    assert.ok(!daemon.methods.includes("vm.exec"));
  }));

Deno.test("Ctrl-C while the command is being asked for ends it, and the VM goes", () =>
  withGuest(async (daemon) => {
    const argv = ["vm", "run", "--no-workspace", "--rm", "--", "sleep", "300"];
    const { code, err } = await runFake(argv, {
      ...surroundings(daemon, "/"),
      onReady: (send) => daemon.onExec = () => void setTimeout(() => send("SIGINT"), 20),
    });
    assert.equal(code, 130);
    assert.match(err.text, /Error: Interrupted/);
    assert.deepEqual(daemon.methods, ["vm.create", "vm.exec", "vm.delete"]);
  }));

Deno.test("Ctrl-C when the command can be withdrawn no more goes to the command", () =>
  withGuest(async (daemon) => {
    const argv = ["vm", "run", "--no-workspace", "--rm", "--", "sleep", "300"];
    const { code } = await runFake(argv, {
      ...surroundings(daemon, "/"),
      onReady: (send) => daemon.onUpgraded = () => send("SIGINT"),
    });
    assert.equal(code, 130);
    assert.deepEqual(daemon.methods, ["vm.create", "vm.exec", "vm.delete"]);
  }));

Deno.test("the first Ctrl-C goes to the guest's command, the second ends it", () =>
  withGuest(async (daemon) => {
    let send: (signal: "SIGINT") => void = () => {};
    const out = new FakeOutput();
    const argv = ["vm", "run", "--no-workspace", "--rm", "--", "sh", "-c"];
    const script = 'trap "echo caught" INT; echo ready; while :; do sleep 0.05; done';
    const running = runFake([...argv, script], {
      ...surroundings(daemon, "/"),
      out,
      onReady: (function_) => send = function_,
    });
    await until(() => out.text.includes("ready"));
    send("SIGINT");
    await until(() => out.text.includes("caught"));
    send("SIGINT");
    const { code } = await running;
    assert.equal(code, 137);
  }));

Deno.test("a failed copy leaves no VM, also without --rm", () =>
  withGuest(async (daemon, repository) => {
    await Deno.mkdir(`${daemon.guestRoot}/root/my-repo`);
    const argv = ["vm", "run", "--", "true"];
    const { code, err } = await runFake(argv, surroundings(daemon, repository));
    assert.equal(code, 125);
    assert.match(err.text, /Cannot copy repository "my-repo" into the guest/);
    assert.match(err.text, /is there already/);
    assert.deepEqual(daemon.methods, ["vm.create", "vm.exec", "vm.delete"]);
  }));

Deno.test("a daemon that refuses is banger's own failure: 125, with its words and hint", () =>
  withGuest(async (daemon) => {
    daemon.refusal = new BangerError("conflict", 'Cannot create VM "a": the name is taken', {
      hint: "banger vm delete a",
    });
    const argv = ["vm", "run", "--no-workspace", "--name", "a", "--", "true"];
    const { code, err } = await runFake(argv, surroundings(daemon, "/"));
    assert.equal(code, 125);
    assert.match(
      err.text,
      /Error: Cannot create VM "a": the name is taken\n {2}hint: banger vm delete a\n/,
    );
  }));

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500 && !condition(); turn++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.ok(condition());
}
