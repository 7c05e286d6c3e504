import assert from "node:assert/strict";
import { Paths } from "../paths/paths.ts";
import { checkKvm } from "./check_kvm.ts";
import { subordinateIds } from "./check_user_namespaces.ts";
import { examineHost } from "./examine_host.ts";

Deno.test("the largest range of a user counts, by name or number", () => {
  const text = "root:1:5\nann:100000:65536\nann:300000:10\n1000:1:2\nbad\nann::\n";
  assert.equal(subordinateIds(text, 1000, "ann"), 65536);
  assert.equal(subordinateIds(text, 1000, "bob"), 2);
  assert.equal(subordinateIds(text, 7, "bob"), 0);
  assert.equal(subordinateIds("", 0, "root"), 0);
});

Deno.test("KVM that the trial boot found working is ok, anything else is not a failure", async () => {
  const [works] = await checkKvm(
    { accelerator: "kvm", reason: "kernel started in 0.4 s" },
    1000,
  );
  assert.equal(works?.status, "ok");
  const [software] = await checkKvm({ accelerator: "tcg", reason: "the kernel hung" }, 1000);
  assert.equal(software?.status, "warn");
});

Deno.test("every check says what it is needed for, failures how to mend them; ready follows from them", async () => {
  const home = await Deno.makeTempDir();
  try {
    const facts = {
      paths: new Paths({ uid: 4242, home, xdgRuntimeDir: home }),
      userName: "nobody-at-all",
      qemuBin: "/no/such/qemu",
      debianMirror: "http://user:secret@mirror.test/debian",
      ownChecks: [],
      acceleration: null,
      signal: AbortSignal.timeout(30_000),
    };
    const { checks, ready, modes } = await examineHost(facts);
    assert.equal(ready, false);
    assert.deepEqual(modes, { rootless: false, system: false });
    assert.equal(new Set(checks.map(({ id }) => id)).size, checks.length);
    for (const { id, status, neededFor, fix } of checks) {
      assert.ok(neededFor !== "", id);
      if (status === "fail") assert.ok(fix !== null, id);
    }
    const byId = new Map(checks.map((check) => [check.id, check]));
    assert.equal(byId.get("qemu")?.status, "fail");
    assert.equal(byId.get("subuid")?.status, "fail");
    assert.match(byId.get("subuid")?.fix ?? "", /usermod --add-subuids/);
    assert.equal(
      byId.get("debian-mirror")?.found,
      "http://mirror.test/debian (from the configuration)",
    );
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
