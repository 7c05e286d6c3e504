import assert from "node:assert/strict";
import fc from "fast-check";
import { arFixture, debFixture, tarFixture } from "../../tests/support/deb_fixture.ts";
import { BangerError } from "../model/errors.ts";
import { ByteReader } from "./byte_reader.ts";
import { debEntries, safePath } from "./deb_archive.ts";
import { tarEntries } from "./tar_reader.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

async function* pieces(content: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}

/** Paths and texts of a package. */
async function readDeb(content: Uint8Array): Promise<[string, string][]> {
  const path = await Deno.makeTempFile({ prefix: "banger-deb-test-" });
  try {
    await Deno.writeFile(path, content);
    const found: [string, string][] = [];
    for await (const entry of debEntries(path)) {
      const chunks = await Array.fromAsync(entry.content());
      found.push([entry.path, chunks.map((chunk) => new TextDecoder().decode(chunk)).join("")]);
    }
    return found;
  } finally {
    await Deno.remove(path);
  }
}

function readTar(content: Uint8Array, size = 100) {
  return Array.fromAsync(tarEntries(new ByteReader(pieces(content, size)), "x.deb"));
}

Deno.test("a package's files are read in order, whether packed or plain", async () => {
  const entries = [
    { name: "./", type: "5" as const },
    { name: "./boot/vmlinuz-1", content: bytes("kernel") },
    { name: "./lib/empty" },
  ];
  const expected = [["boot/vmlinuz-1", "kernel"], ["lib/empty", ""]];
  assert.deepEqual(await readDeb(await debFixture(entries)), expected);
  assert.deepEqual(await readDeb(arFixture([["data.tar", tarFixture(entries)]])), expected);
});

Deno.test("unsafe names, damaged and foreign packages are refused", async () => {
  const tar = tarFixture([{ name: "./a", content: bytes("content") }]);
  const wrongSum = tar.slice();
  wrongSum[0] = 0x2f;
  const refused: readonly (readonly [Uint8Array, RegExp])[] = [
    [bytes("hello"), /it is not an ar archive/],
    [arFixture([["debian-binary", bytes("2.0\n")]]), /it has no data\.tar/],
    [arFixture([["data.tar.lzma", tar]]), /unknown form/],
    [arFixture([["data.tar", tar]]).subarray(0, 200), /ends without its end mark/],
    [arFixture([["data.tar", tar.subarray(0, 600)]]), /ends within a file|without its end mark/],
    [arFixture([["data.tar", wrongSum]]), /wrong checksum/],
    [arFixture([["data.tar.xz", bytes("not xz at all")]]), /"xz": it refuses the data|end mark/],
    [arFixture([["data.tar", tarFixture([{ name: "/etc/x" }])]]), /unsafe name "\/etc\/x"/],
    [arFixture([["data.tar", tarFixture([{ name: "./a/../../x" }])]]), /unsafe name/],
    [arFixture([["data.tar", tarFixture([{ name: "./a\nb" }])]]), /unsafe name/],
  ];
  for (const [content, message] of refused) {
    await assert.rejects(() => readDeb(content), (error) => {
      assert.ok(error instanceof BangerError, String(error));
      assert.equal(error.kind, "untrusted");
      assert.match(`${error.message}\n${error.detail ?? ""}`, message);
      return true;
    });
  }
});

Deno.test("GNU and pax long names replace the short one, once", async () => {
  const long = `./${"d/".repeat(80)}file`;
  const record = (text: string) => {
    const length = text.length + 2 + String(text.length + 5).length;
    return `${length} ${text}\n`;
  };
  for (
    const extension of [
      { name: "././@LongLink", type: "L", content: bytes(`${long}\0`) },
      { name: "PaxHeader", type: "x", content: bytes(record(`path=${long}`)) },
    ]
  ) {
    const entries = [extension, { name: "./short" }, { name: "./next" }];
    const tar = tarFixture(entries as Parameters<typeof tarFixture>[0]);
    const names = (await readTar(tar)).map((entry) => new TextDecoder().decode(entry.name));
    assert.deepEqual(names, [long, "./next"]);
  }
});

Deno.test("changed or cut archives end with a refusal or entries, never a hang", async () => {
  const tar = tarFixture([{ name: "./a", content: bytes("x".repeat(700)) }, { name: "./b" }]);
  const change = fc.record({
    at: fc.nat(tar.length - 1),
    value: fc.nat(255),
    end: fc.nat(tar.length),
    size: fc.integer({ min: 1, max: 600 }),
  });
  await fc.assert(fc.asyncProperty(change, async ({ at, value, end, size }) => {
    const changed = tar.slice();
    changed[at] = value;
    try {
      await readTar(changed.subarray(0, end), size);
    } catch (error) {
      assert.ok(error instanceof BangerError, String(error));
    }
  }));
});

Deno.test("a safe path never leaves its tree", () => {
  const part = fc.constantFrom("..", ".", "a", "", "b.c", "...", "\0");
  fc.assert(fc.property(fc.array(part), (parts) => {
    const path = safePath(bytes(parts.join("/")));
    if (path === undefined || path === "") return;
    assert.ok(path.split("/").every((each) => each !== ".." && each !== "." && each !== ""));
    assert.ok(!path.startsWith("/"));
  }));
  assert.equal(safePath(Uint8Array.of(0x61, 0xff)), undefined);
});
