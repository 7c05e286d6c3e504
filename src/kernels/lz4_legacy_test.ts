import assert from "node:assert/strict";
import fc from "fast-check";
import { BangerError } from "../model/errors.ts";
import { unpackLz4Legacy } from "./lz4_legacy.ts";

function frame(...blocks: number[][]): Uint8Array {
  const size = (block: number[]) => [block.length & 255, block.length >> 8, 0, 0];
  const bytes = blocks.flatMap((block) => [...size(block), ...block]);
  return Uint8Array.from([0x02, 0x21, 0x4c, 0x18, ...bytes]);
}

Deno.test("literals, matches, overlapping matches and long lengths are unpacked", () => {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  // "ab", then 4 + 2 bytes from two back; then the last literals.
  const overlapping = [0x22, 0x61, 0x62, 2, 0, 0x10, 0x21];
  assert.equal(text(unpackLz4Legacy(frame(overlapping), 9)), "abababab!");
  // "abcdef", then 4 bytes from six back.
  const apart = [0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 6, 0, 0x10, 0x21];
  assert.equal(text(unpackLz4Legacy(frame(apart), 11)), "abcdefabcd!");
  // 15 + 255 + 3 literals.
  const long = [0xf0, 255, 3, ...new Array<number>(273).fill(0x7a)];
  assert.equal(text(unpackLz4Legacy(frame(long), 273)), "z".repeat(273));
  assert.equal(text(unpackLz4Legacy(frame([0x10, 0x61], [0x10, 0x62]), 2)), "ab");
});

Deno.test("damaged data is refused", () => {
  const refused: (readonly [string, Uint8Array, number])[] = [
    ["no magic", Uint8Array.of(1, 2, 3, 4), 0],
    ["a cut block", frame([0x20, 0x61, 0x62]).subarray(0, 9), 2],
    ["a match before the start", frame([0x10, 0x61, 2, 0]), 5],
    ["a match into the block before", frame([0x10, 0x61], [0x10, 0x62, 2, 0]), 6],
    ["distance 0", frame([0x10, 0x61, 0, 0]), 5],
    ["more than promised", frame([0x20, 0x61, 0x62]), 1],
    ["less than promised", frame([0x20, 0x61, 0x62]), 3],
    ["an endless length", frame([0xf0, 255, 255]), 600],
  ];
  for (const [name, bytes, size] of refused) {
    assert.throws(
      () => unpackLz4Legacy(bytes, size),
      (error) => error instanceof BangerError && error.kind === "untrusted",
      name,
    );
  }
});

Deno.test("garbage ends with a refusal or the promised size", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(200), (garbage, size) => {
    try {
      assert.equal(unpackLz4Legacy(frame([...garbage]), size).length, size);
    } catch (error) {
      assert.ok(error instanceof BangerError, String(error));
    }
  }));
});
