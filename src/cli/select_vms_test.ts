import assert from "node:assert/strict";
import { BangerError } from "../model/errors.ts";
import { runFake } from "./testdata/fake_context.ts";
import { FakeDaemon, vmViewOf } from "./testdata/fake_daemon.ts";

const some = [
  vmViewOf({ id: "00000000000000aa", name: "a", labels: { team: "web" } }),
  vmViewOf({
    id: "00000000000000bb",
    name: "b",
    labels: { team: "web", ci: "" },
    state: "stopped",
  }),
  vmViewOf({ id: "00000000000000cc", name: "c", image: "alpine", state: "created" }),
];

function daemonWith(vms = some) {
  const daemon = new FakeDaemon("/nonexistent");
  daemon.vms = vms;
  return { daemon, surroundings: { connect: () => daemon.port() } };
}

/** What a command line asked of the daemon, and how it ended. */
async function asked(...argv: string[]) {
  const { daemon, surroundings } = daemonWith();
  const { code, out, err } = await runFake(argv, surroundings);
  const verbs = daemon.calls.filter(({ method }) =>
    method !== "vm.list" && method !== "vm.overview"
  );
  return {
    code,
    out: out.text,
    err: err.text,
    vms: verbs.map(({ params }) => (params as { vm: string }).vm),
    params: verbs.map(({ params }) => params),
  };
}

Deno.test("--all and --label choose by what VMs are, and name them by id", async () => {
  assert.deepEqual((await asked("vm", "stop", "--all")).vms, ["00000000000000aa"]);
  assert.deepEqual((await asked("vm", "start", "--all")).vms, [
    "00000000000000bb",
    "00000000000000cc",
  ]);
  assert.deepEqual((await asked("vm", "start", "--label", "ci")).vms, ["00000000000000bb"]);
  assert.deepEqual((await asked("vm", "start", "-l", "team=db")).vms, []);
  const deleted = await asked("vm", "delete", "--all", "--stopped", "-l", "team=web");
  assert.deepEqual([deleted.code, deleted.vms], [0, ["00000000000000bb"]]);
  assert.equal(deleted.err.split("\n").at(-2), 'Deleted VM "b"');
});

Deno.test("names are done one after the other, each once; a failure does not keep the others", async () => {
  const { code, vms, err } = await asked("vm", "restart", "a", "nope", "a", "c");
  assert.deepEqual([code, vms], [3, ["a", "nope", "c"]]);
  assert.match(err, /Error: Cannot find "nope"/);
});

Deno.test("the exit code is the first failure's", async () => {
  const { daemon, surroundings } = daemonWith();
  const port = daemon.port();
  const refusing = {
    ...port,
    call: ((method, params, signal) => {
      const { vm } = params as { vm?: string };
      if (vm === "b") return Promise.reject(new BangerError("conflict", "Cannot start: busy"));
      return port.call(method, params, signal);
    }) as typeof port.call,
  };
  const { code } = await runFake(["vm", "start", "nope", "b"], {
    ...surroundings,
    connect: () => refusing,
  });
  assert.equal(code, 3);
});

Deno.test("no VM at all, or names with --all, are refused before the daemon is asked", async () => {
  for (const verb of ["start", "stop", "restart", "kill", "delete"]) {
    const none = await asked("vm", verb);
    assert.deepEqual([none.code, none.vms], [2, []], verb);
    assert.match(none.err, /VM is missing\n {2}hint: Name VMs, or use --all/);
    assert.equal((await asked("vm", verb, "a", "--all")).code, 2);
    assert.equal((await asked("vm", verb, "a", "-l", "x")).code, 2);
    assert.equal((await asked("vm", verb, "../a")).code, 2);
  }
  assert.equal((await asked("vm", "delete", "a", "--stopped")).code, 2);
});

Deno.test("kill asks nobody", async () => {
  const { params } = await asked("vm", "kill", "a");
  assert.deepEqual(params, [{ vm: "a", force: true, timeoutMs: 0 }]);
});

Deno.test("set passes on what was given, and wants something", async () => {
  const { params } = await asked(
    "vm",
    "set",
    "a",
    "--memory",
    "4G",
    "-l",
    "x=1",
    "--no-label",
    "ci",
  );
  assert.deepEqual(params, [{
    vm: "a",
    name: null,
    cpus: null,
    memoryMib: 4096,
    diskBytes: null,
    workDiskBytes: null,
    labels: { x: "1", ci: null },
    autoStopMs: "keep",
    command: "keep",
    autoPorts: null,
  }]);
  const commands = [
    [["--", "npm", "start"], ["npm", "start"]],
    [["--image-command"], null],
  ] as const;
  for (const [words, command] of commands) {
    const { params } = await asked("vm", "set", "a", ...words);
    assert.deepEqual((params[0] as { command: unknown }).command, command);
  }
  const both = await asked("vm", "set", "a", "--image-command", "--", "npm");
  assert.equal(both.code, 2, both.err);
  const nothing = await asked("vm", "set", "a");
  assert.deepEqual([nothing.code, nothing.vms], [2, []]);
  assert.match(nothing.err, /nothing to change was given/);
});

Deno.test("vm list shows those that are asked for", async () => {
  const names = async (...options: string[]) =>
    (await asked("vm", "list", ...options)).out.split("\n").slice(1, -1).map((row) => row[0]);
  assert.deepEqual(await names(), ["a", "b", "c"]);
  assert.deepEqual(await names("--label", "team"), ["a", "b"]);
  assert.deepEqual(await names("--label", "team=web", "--label", "ci"), ["b"]);
  assert.deepEqual(await names("--state", "stopped", "--state", "created"), ["b", "c"]);
  assert.deepEqual(await names("--image", "alpine"), ["c"]);
  const json = JSON.parse((await asked("vm", "list", "--json", "--state", "created")).out);
  assert.deepEqual(json.vms.map(({ name }: { name: string }) => name), ["c"]);
  const wrong = await asked("vm", "list", "--state", "runing");
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /Did you mean running\?/);
});
