import assert from "node:assert/strict";
import { BangerError, errorKinds } from "../model/errors.ts";
import { exitCodeOf } from "./exit_code.ts";
import { FakeOutput, runFake } from "./testdata/fake_context.ts";
import { FakeDaemon, vmViewOf } from "./testdata/fake_daemon.ts";

function daemonWith(...vms: ReturnType<typeof vmViewOf>[]) {
  const daemon = new FakeDaemon("/nonexistent");
  daemon.vms = vms;
  return { daemon, surroundings: { connect: () => daemon.port() } };
}

Deno.test("each kind of failure has its exit code", async () => {
  const codes = Object.fromEntries(errorKinds.map((kind) => [kind, exitCodeOf(kind)]));
  assert.deepEqual(codes, {
    invalid: 2,
    not_found: 3,
    conflict: 4,
    precondition: 5,
    unavailable: 1,
    cancelled: 130,
    timeout: 1,
    untrusted: 1,
    exhausted: 1,
    internal: 1,
  });
  const { daemon, surroundings } = daemonWith();
  for (const kind of errorKinds) {
    daemon.refusal = new BangerError(kind, "Cannot list VMs: no", { hint: "do this" });
    const { code, err } = await runFake(["vm", "list"], surroundings);
    assert.equal(code, codes[kind]);
    assert.equal(err.text, "Error: Cannot list VMs: no\n  hint: do this\n");
  }
});

Deno.test("unknown words are refused with a suggestion, nested ones too", async () => {
  const refused = async (...argv: string[]) => {
    const { code, err } = await runFake(argv, daemonWith().surroundings);
    assert.equal(code, 2);
    return err.text;
  };
  assert.match(await refused("vn"), /there is no command "vn"\n {2}hint: Did you mean banger vm\?/);
  assert.match(await refused("vm", "lsit"), /Did you mean banger vm list\?/);
  assert.match(await refused("run"), /Did you mean banger vm run\?/);
  assert.match(await refused("--jsno"), /there is no option "--jsno"/);
  assert.match(await refused("vm", "list", "--jsno"), /Did you mean --json\?/);
  assert.match(await refused("constructor"), /there is no command "constructor"/);
});

Deno.test("vm list is a table, or stable JSON", async () => {
  const { surroundings } = daemonWith(
    vmViewOf(),
    vmViewOf({ name: "other", state: "stopped", vmm: null, accelerator: null, memoryMib: 512 }),
  );
  const plain = await runFake(["vm", "list"], surroundings);
  assert.equal(
    plain.out.text,
    "NAME   STATE    IMAGE            CPUS   MEMORY   DISK  AGE  VMM\n" +
      "web    running  debian-bookworm     2    2 GiB  8 GiB   1m  qemu/tcg\n" +
      "other  stopped  debian-bookworm     2  512 MiB  8 GiB   1m  -\n",
  );
  const json = await runFake(["vm", "list", "--json"], surroundings);
  const { vms } = JSON.parse(json.out.text) as { vms: object[] };
  assert.equal(vms.length, 2);
  assert.deepEqual(Object.keys(vms[0]!), Object.keys(vmViewOf()));
});

Deno.test("vm show names what there is; a bad name is refused before the daemon is asked", async () => {
  const { daemon, surroundings } = daemonWith(vmViewOf());
  const shown = await runFake(["vm", "show", "web"], surroundings);
  assert.match(shown.out.text, /^Name: +web\nId: +00112233445566aa\nState: +running\n/);
  assert.equal((await runFake(["vm", "show", "nope"], surroundings)).code, 3);
  const asked = daemon.calls.length;
  for (const name of ["../x", "x".repeat(300), "", "A"]) {
    assert.equal((await runFake(["vm", "show", name], surroundings)).code, 2, name);
    const { code } = await runFake(["vm", "stop", name], surroundings);
    assert.equal(code, 2, name);
  }
  assert.equal(daemon.calls.length, asked);
});

Deno.test("control characters of a guest are escaped on a terminal and kept in a pipe", async () => {
  const console = "a\x1b]52;c;aGk=\x07b\r\n";
  const daemon = new FakeDaemon("/nonexistent");
  const port = {
    ...daemon.port(),
    call: () => Promise.resolve({ console: btoa(console) }) as never,
  };
  const piped = await runFake(["vm", "logs", "web"], { connect: () => port });
  assert.equal(piped.out.text, console);
  const shown = await runFake(["vm", "logs", "web"], { connect: () => port, terminal: true });
  assert.equal(shown.out.text, "a\\x1b]52;c;aGk=\\x07b\n");
});

Deno.test("a reader that goes away ends a list quietly", async () => {
  const { surroundings } = daemonWith(vmViewOf());
  const out = new FakeOutput();
  out.closeAfterBytes = 10;
  const { code, err } = await runFake(["vm", "list"], { ...surroundings, out });
  assert.equal(code, 141);
  assert.equal(err.text, "");
});

Deno.test("a long detail is cut unless --verbose asks for it", async () => {
  const { daemon, surroundings } = daemonWith();
  const detail = Array.from({ length: 20 }, (_, index) => `line ${index}`).join("\n");
  daemon.refusal = new BangerError("internal", "Cannot boot", { detail });
  const short = await runFake(["vm", "list"], surroundings);
  assert.match(short.err.text, /\| line 14\n.*\| line 19\n.*\(14 earlier lines: --verbose\)/s);
  assert.ok(!short.err.text.includes("line 13"));
  const long = await runFake(["vm", "list", "--verbose"], surroundings);
  assert.match(long.err.text, /\| line 0\n/);
});

Deno.test("vm exec runs in the VM with stdin and passes the code on; banger's failures are 125", async () => {
  const { surroundings } = daemonWith(vmViewOf());
  const stdin = [new TextEncoder().encode("hi\n")];
  const argv = ["vm", "exec", "web", "--cwd", "/", "--", "sh", "-c", "cat; exit 3"];
  const { code, out } = await runFake(argv, { ...surroundings, stdin });
  assert.equal(code, 3);
  assert.equal(out.text, "hi\n");
  assert.equal((await runFake(["vm", "exec", "nope", "--", "true"], surroundings)).code, 125);
  assert.equal((await runFake(["vm", "exec", "web"], surroundings)).code, 125);
});
