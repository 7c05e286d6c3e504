import assert from "node:assert/strict";
import fc from "fast-check";
import { BangerError } from "../model/errors.ts";
import { dependencyNames, newestPackage, packagesIn } from "./package_index.ts";

function stanza(name: string, changes: Readonly<Record<string, string>> = {}): string {
  const fields = {
    Package: name,
    Version: "1.0-1",
    Architecture: "amd64",
    Depends: "libc6 (>= 2.36), a | b",
    Description: "text\n continued: here",
    Filename: `pool/main/x/${name}_1.0-1_amd64.deb`,
    Size: "10",
    SHA256: "ab".repeat(32),
    ...changes,
  };
  return Object.entries(fields).map(([key, value]) => `${key}: ${value}\n`).join("");
}

async function* pieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function read(text: string, size = 7, wanted = (_: string) => true) {
  return Array.fromAsync(packagesIn(pieces(text, size), wanted));
}

Deno.test("wanted packages are read, however the file is cut into chunks", async () => {
  const text = `${stanza("one")}\n${stanza("two", { Version: "2" })}\n${stanza("three")}`;
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 900 }), async (size) => {
    const found = await read(text, size, (name) => name !== "one");
    assert.deepEqual(found.map(({ name, version }) => [name, version]), [
      ["two", "2"],
      ["three", "1.0-1"],
    ]);
  }));
});

Deno.test("unsafe or missing fields of a wanted package are refused by name", async () => {
  const broken = [
    { Filename: "/etc/passwd" },
    { Filename: "pool/../../x.deb" },
    { Filename: "pool/a b.deb" },
    { Size: "-1" },
    { SHA256: "../../x" },
    { Version: "1 2" },
  ];
  for (const changes of broken) {
    await assert.rejects(() => read(stanza("bad", changes)), (error) => {
      assert.ok(error instanceof BangerError);
      assert.equal(error.kind, "untrusted");
      assert.match(error.message, new RegExp(`field ${Object.keys(changes)[0]} of package "bad"`));
      return true;
    });
    assert.deepEqual(await read(stanza("bad", changes), 50, () => false), []);
  }
});

Deno.test("an endless stanza is refused", async () => {
  await assert.rejects(() => read("Package: x\n".repeat(100_000), 65_536), /a stanza is too long/);
});

Deno.test("garbage gives records or a refusal", async () => {
  await fc.assert(fc.asyncProperty(fc.string(), fc.nat(200), async (noise, at) => {
    const text = stanza("one");
    try {
      await read(text.slice(0, at) + noise + text.slice(at));
    } catch (error) {
      assert.ok(error instanceof BangerError, String(error));
    }
  }));
});

Deno.test("the newest version wins, and dependencies give their first alternatives", async () => {
  const records = await read(
    ["9", "10", "1:1", "2"].map((version) => stanza("xx", { Version: version })).join("\n"),
  );
  assert.equal(newestPackage(records)?.version, "1:1");
  assert.equal(newestPackage([]), undefined);
  assert.deepEqual(dependencyNames("libc6 (>= 2), a | b, linux-image-6.1.0-1-cloud (= 6)"), [
    "libc6",
    "a",
    "linux-image-6.1.0-1-cloud",
  ]);
});
