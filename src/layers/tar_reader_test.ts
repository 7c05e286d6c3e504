import assert from "node:assert/strict";
import fc from "fast-check";
import {
  entryBytes,
  header,
  joined,
  padded,
  sealed,
  tarOf,
} from "../../tests/support/layer_fixture.ts";
import { bytesOf, byteString } from "../ext4/byte_string.ts";
import { isBangerError } from "../model/errors.ts";
import { defaultLimits, type LayerLimits } from "./limits.ts";
import type { TarEntry } from "./tar_entry.ts";
import { TarReader } from "./tar_reader.ts";

/** What a reader tells of a tar that comes in chunks of `chunkBytes`. */
function read(tar: Uint8Array, chunkBytes = tar.length || 1, limits: Partial<LayerLimits> = {}) {
  const entries: (TarEntry & { content: string; ended: number })[] = [];
  const reader = new TarReader(
    {
      entry: (entry) =>
        entries.push({ ...entry, content: "\0".repeat(Math.min(entry.size, 1e6)), ended: 0 }),
      data: (bytes, offset) => {
        const last = entries.at(-1)!;
        const text = byteString(bytes);
        last.content = last.content.slice(0, offset) + text +
          last.content.slice(offset + text.length);
      },
      endFile: () => entries.at(-1)!.ended++,
    },
    { ...defaultLimits, ...limits },
    "layer",
  );
  for (let at = 0; at < tar.length; at += chunkBytes) {
    reader.push(tar.subarray(at, at + chunkBytes));
  }
  reader.end();
  return entries;
}

function refused(tar: Uint8Array, words: RegExp, limits: Partial<LayerLimits> = {}): void {
  assert.throws(() => read(tar, 700, limits), (error) => {
    assert.ok(isBangerError(error, "untrusted"), `${error}`);
    assert.match(error.message, /^Cannot unpack layer "layer": entry /);
    assert.match(error.message, words);
    return true;
  });
}

const binary = Uint8Array.from([0, 10, 61, 255, 0xc3, 0x28]);

Deno.test("the padding of the last entry may be missing, or a part of it", () => {
  const whole = joined([entryBytes({ name: "a" }), entryBytes({ name: "b", content: "six by" })]);
  for (const end of [1024 + 6, 1024 + 7, 1536]) {
    assert.deepEqual(read(whole.subarray(0, end), 100).map(({ content }) => content), [
      "",
      "six by",
    ]);
  }
  refused(whole.subarray(0, 1024 + 5), /entry "b" is cut off/);
});

Deno.test("chunks may end anywhere", () => {
  const tar = joined([
    entryBytes({ name: "n".repeat(150), content: "x".repeat(600), xattrs: { "user.b": binary } }),
    entryBytes({ name: "dir/", uid: 4_000_000_000, mtime: -5 }),
    header({ name: "L", flag: "L", size: 200 }),
    padded(bytesOf(`${"g".repeat(199)}\0`)),
    header({ name: "K", flag: "K", size: 151 }),
    padded(bytesOf(`${"k".repeat(150)}\0`)),
    entryBytes({ name: "short", flag: "2", link: "short" }),
    entryBytes({ name: "after", flag: "2", link: "own" }),
    new Uint8Array(1024),
  ]);
  const whole = read(tar);
  assert.deepEqual(whole.map(({ name, type, ended }) => [name.length, type, ended]), [
    [150, "file", 1],
    [4, "directory", 0],
    [199, "symlink", 0],
    [5, "symlink", 0],
  ]);
  assert.equal(whole[0]!.content, "x".repeat(600));
  assert.deepEqual(whole[0]!.xattrs, [{ name: "user.b", value: binary }]);
  assert.equal(whole[1]!.uid, 4_000_000_000);
  assert.equal(whole[1]!.mtime.seconds, -5);
  assert.equal(whole[2]!.link, "k".repeat(150));
  assert.equal(whole[3]!.link, "own");
  fc.assert(fc.property(fc.integer({ min: 1, max: 1500 }), (chunkBytes) => {
    assert.deepEqual(read(tar, chunkBytes), whole);
  }));
});

Deno.test("extended headers hold for one entry, and win over its header", () => {
  const [first, second] = read(tarOf([
    {
      name: "a",
      content: "12345",
      size: 5,
      pax: { path: "p\xff", uid: "7", mtime: "-1.5", size: "5", "SCHILY.xattr.user.x": "=\0\n" },
    },
    { name: "b" },
  ]));
  assert.equal(first!.name, "p\xff");
  assert.equal(first!.uid, 7);
  assert.deepEqual(first!.mtime, { seconds: -2, nanoseconds: 500_000_000 });
  assert.deepEqual(first!.xattrs, [{ name: "user.x", value: bytesOf("=\0\n") }]);
  assert.deepEqual([second!.name, second!.uid, second!.xattrs], ["b", 0, []]);
});

Deno.test("libarchive's attributes are decoded, and yield to the other form", () => {
  const pax = { "LIBARCHIVE.xattr.user.a%3Db": "AAEC/w", "LIBARCHIVE.xattr.user.both": "AAAA" };
  const [entry] = read(tarOf([{ name: "a", pax, xattrs: { "user.both": "mine" } }]));
  assert.deepEqual(entry!.xattrs, [
    { name: "user.a=b", value: Uint8Array.of(0, 1, 2, 255) },
    { name: "user.both", value: bytesOf("mine") },
  ]);
});

Deno.test("sparse maps put data where it belongs", () => {
  const sparse = {
    "GNU.sparse.name": "real",
    "GNU.sparse.size": "12",
    "GNU.sparse.realsize": "12",
  };
  const data = "abcde";
  const expected = "\0\0abc\0\0\0\0\0de";
  const old = header({ name: "real", flag: "S", size: 5 });
  [[2, 3], [10, 2]].flat().forEach((number, index) =>
    old.set(bytesOf(`${number.toString(8).padStart(11, "0")}\0`), 386 + index * 12)
  );
  old.set(bytesOf("00000000014\0"), 483);
  for (
    const tar of [
      joined([sealed(old), padded(bytesOf(data))]),
      tarOf([{ name: "x", content: data, pax: { ...sparse, "GNU.sparse.map": "2,3,10,2" } }]),
      tarOf([{
        name: "x",
        content: joined([padded(bytesOf("2\n2\n3\n10\n2\n")), bytesOf(data)]),
        pax: { ...sparse, "GNU.sparse.major": "1", "GNU.sparse.minor": "0" },
      }]),
    ]
  ) {
    const [entry] = read(tar, 100);
    assert.deepEqual([entry!.name, entry!.size, entry!.content], ["real", 12, expected]);
  }
});

Deno.test("damaged archives are refused, with the entry and the rule", () => {
  const good = entryBytes({ name: "name", content: "content" });
  refused(
    joined([good, Uint8Array.from(good, (byte, at) => at === 3 ? byte + 1 : byte)]),
    /at byte 1024 has a wrong checksum/,
  );
  refused(good.subarray(0, 515), /entry "name" is cut off/);
  refused(good.subarray(0, 200), /is cut off/);
  refused(joined([new Uint8Array(512), good]), /follows a block of zeros/);
  refused(header({ name: "x", size: -1 }), /negative size/);
  refused(header({ name: "x", flag: "Z" }), /"x" has the unknown type "Z"/);
  refused(header({ name: "x", uid: 2 ** 32 - 1 }), /owner 4294967295, which Linux cannot have/);
  refused(header({ name: "x", flag: "3", major: 5000 }), /device number/);
  refused(tarOf([{ name: "x", pax: { path: "a\0b" } }]), /NUL in its name/);
  refused(tarOf([{ name: "x", pax: { size: "-5" } }]), /damaged size/);
  refused(tarOf([{ name: "x", pax: { uid: "99999999999999999999" } }]), /damaged owner/);
  refused(tarOf([{ name: "x", pax: { mtime: "now" } }]), /damaged time/);
  refused(
    joined([header({ name: "p", flag: "x", size: 9 }), padded(bytesOf("5 a=b\n9 x"))]),
    /damaged pax header/,
  );
  refused(header({ name: "p", flag: "x", size: 2 ** 21 }), /extended header of more than/);
  refused(tarOf([{ name: "a" }, { name: "b" }]), /"b" is beyond the limit of 1 entries/, {
    entries: 1,
  });
});

Deno.test("sparse maps that do not fit are refused", () => {
  const sparse = { "GNU.sparse.name": "s", "GNU.sparse.size": "100" };
  const map = (numbers: string) =>
    tarOf([{ name: "x", content: "12345", pax: { ...sparse, "GNU.sparse.map": numbers } }]);
  refused(map("0,5,4,0"), /"s" has a sparse map that does not fit its size/);
  refused(map("98,5"), /does not fit its size/);
  refused(map("0,4"), /does not fit its content/);
  refused(map("0,5,7"), /damaged sparse map/);
  refused(map("0,-5"), /damaged sparse map/);
  refused(map("0,1,2,1,4,1,6,1,8,1"), /more than 4 data segments/, { sparseSegments: 4 });
});

Deno.test("whatever a header holds, the reader answers or refuses", () => {
  const block = fc.tuple(
    fc.constantFrom(..."0123456789SxgLKVD\0".split("")),
    fc.array(fc.tuple(fc.nat(511), fc.nat(255)), { maxLength: 30 }),
    fc.constantFrom(0, 5, 512, 100_000, -1, 2 ** 40),
  ).map(([flag, changes, size]) => {
    const bytes = header({ name: "fuzz", flag, size, link: "fuzz" });
    for (const [at, value] of changes) bytes[at] = value;
    return sealed(bytes);
  });
  const tar = fc.array(fc.oneof(block, fc.uint8Array({ minLength: 512, maxLength: 512 })), {
    maxLength: 8,
  });
  let headers = 0;
  let longestMs = 0;
  const property = fc.property(tar, (blocks) => {
    headers += blocks.length;
    const startMs = performance.now();
    try {
      read(joined(blocks), 1000);
    } catch (error) {
      assert.ok(isBangerError(error, "untrusted"), `${error}`);
    }
    longestMs = Math.max(longestMs, performance.now() - startMs);
  });
  // docs/testing.md tells of the switch.
  const wanted = Number(Deno.env.get("BANGER_FUZZ_HEADERS") ?? 8000);
  while (headers < wanted) fc.assert(property, { numRuns: Math.min(10_000, wanted) });
  assert.ok(longestMs < 5000, `one took ${longestMs} ms`);
});
