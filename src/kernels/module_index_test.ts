import assert from "node:assert/strict";
import fc from "fast-check";
import { type IndexEntry, moduleIndex } from "./module_index.ts";

/** Looks a key up as libkmod does (index_mm_search), answering all its values. */
function lookUp(index: Uint8Array, key: string): { value: string; priority: number }[] {
  const view = new DataView(index.buffer);
  const text = (at: number) => {
    const end = index.indexOf(0, at);
    return { end: end + 1, text: new TextDecoder().decode(index.subarray(at, end)) };
  };
  let where = view.getUint32(8);
  let rest = key;
  for (;;) {
    let at = where & 0x0fffffff;
    let prefix = "";
    if ((where & 0x80000000) !== 0) ({ end: at, text: prefix } = text(at));
    if (!rest.startsWith(prefix)) return [];
    rest = rest.slice(prefix.length);
    const childrenAt = at;
    let [first, last] = [1, 0];
    if ((where & 0x20000000) !== 0) {
      [first, last] = [view.getUint8(at), view.getUint8(at + 1)];
      at += 2 + 4 * (last - first + 1);
    }
    if (rest === "") {
      const values = [];
      const count = (where & 0x40000000) === 0 ? 0 : view.getUint32(at);
      at += 4;
      for (let index = 0; index < count; index++) {
        const priority = view.getUint32(at);
        const found = text(at + 4);
        values.push({ value: found.text, priority });
        at = found.end;
      }
      return values;
    }
    const character = rest.charCodeAt(0);
    if (character < first || character > last) return [];
    where = view.getUint32(childrenAt + 2 + 4 * (character - first));
    if (where === 0) return [];
    rest = rest.slice(1);
  }
}

Deno.test("every key is found with its values in order of priority, and no other", () => {
  const entry: fc.Arbitrary<IndexEntry> = fc.record({
    key: fc.stringMatching(/^[ab_]{0,5}$/),
    value: fc.stringMatching(/^[a-z]{0,5}$/),
    priority: fc.nat(9),
  });
  fc.assert(fc.property(fc.array(entry), fc.stringMatching(/^[ab_]{0,6}$/), (entries, other) => {
    const index = moduleIndex(entries);
    for (const key of [...entries.map((each) => each.key), other]) {
      const expected = entries.filter((each) => each.key === key)
        .map(({ value, priority }) => ({ value, priority }))
        .sort((a, b) => a.priority - b.priority);
      assert.deepEqual(lookUp(index, key), expected);
    }
  }));
});

Deno.test("keys that modprobe cannot look up are left out", () => {
  assert.equal(moduleIndex([{ key: "ä", value: "x", priority: 0 }]).length, 12);
});
