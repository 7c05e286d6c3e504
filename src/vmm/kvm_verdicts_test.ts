import assert from "node:assert/strict";
import fc from "fast-check";
import { keepKvmVerdict, keptKvmVerdict } from "./kvm_verdicts.ts";

const works = { usable: true, reason: "a kernel boots with it", hint: null };
const hangs = { usable: false, reason: "it hangs", hint: "Use another" };
const key = (kernelDigest: string, bootId = "boot") => ({ bootId, kernelDigest, vmmVersion: "8" });

async function withFile(body: (path: string, dir: string) => void | Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-verdicts-" });
  try {
    await body(`${dir}/kvm_probe.json`, dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("verdicts on several kernels are kept beside each other", () =>
  withFile((path, dir) => {
    assert.equal(keptKvmVerdict(path, key("a")), undefined);
    keepKvmVerdict(path, key("a"), works);
    keepKvmVerdict(path, key("b"), hangs);
    assert.deepEqual(keptKvmVerdict(path, key("a")), works);
    assert.deepEqual(keptKvmVerdict(path, key("b")), hangs);
    keepKvmVerdict(path, key("a"), hangs);
    assert.deepEqual(keptKvmVerdict(path, key("a")), hangs);
    assert.equal(keptKvmVerdict(path, { ...key("a"), vmmVersion: "9" }), undefined);
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["kvm_probe.json"]);
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
  }));

Deno.test("what an earlier start of the host has left goes with the first verdict of this one", () =>
  withFile((path) => {
    keepKvmVerdict(path, key("a"), works);
    assert.equal(keptKvmVerdict(path, key("a", "later")), undefined);
    keepKvmVerdict(path, key("b", "later"), works);
    assert.doesNotMatch(Deno.readTextFileSync(path), /"boot"/);
  }));

Deno.test("the oldest verdicts go when there are many, or long ones", () =>
  withFile((path) => {
    for (let at = 0; at < 100; at++) keepKvmVerdict(path, key(`${at}`), works);
    const kept = Array.from({ length: 100 }, (_, at) => keptKvmVerdict(path, key(`${at}`)));
    assert.deepEqual(kept.map((found) => found !== undefined), kept.map((_, at) => at >= 68));
    for (const at of [0, 1, 2]) {
      keepKvmVerdict(path, key(`long ${at}`), { ...works, reason: "ü".repeat(20_000) });
    }
    assert.ok(Deno.statSync(path).size <= 64 * 1024);
    assert.ok(keptKvmVerdict(path, key("long 2")) !== undefined);
    assert.equal(keptKvmVerdict(path, key("long 0")), undefined);
  }));

Deno.test("a file that is damaged says nothing, and is written anew", () =>
  withFile((path) => {
    keepKvmVerdict(path, key("a"), works);
    const whole = Deno.readTextFileSync(path);
    const before = JSON.stringify({
      key: '["boot","a","8"]',
      usable: true,
      reason: "",
      hint: null,
    });
    const damaged = fc.oneof(
      fc.constantFrom("", before, `{"verdicts":{}}`, `{"verdicts":[null,7,{}]}`, "null"),
      fc.nat(whole.length - 3).map((bytes) => whole.slice(0, bytes)),
      fc.json().map((verdict) => `{"verdicts":[${verdict}]}`),
      fc.string(),
      fc.constant(" ".repeat(70_000) + whole),
    );
    fc.assert(fc.property(damaged, (text) => {
      Deno.writeTextFileSync(path, text);
      assert.equal(keptKvmVerdict(path, key("a")), undefined);
      keepKvmVerdict(path, key("b"), works);
      assert.equal(Deno.readTextFileSync(path), whole.replace('"a"', '"b"'));
    }));
  }));
