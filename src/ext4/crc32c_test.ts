import assert from "node:assert/strict";
import fc from "fast-check";
import { crc32c, crc32cOfWord } from "./crc32c.ts";

Deno.test("crc32c gives the value of RFC 3720 for the digits, before the final inversion", () => {
  const digits = new TextEncoder().encode("123456789");
  assert.equal((crc32c(0xffffffff, digits) ^ 0xffffffff) >>> 0, 0xe3069283);
});

Deno.test("crc32c of parts one after the other is that of the whole", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, cut) => {
    const middle = Math.min(cut, bytes.length);
    const first = crc32c(0xffffffff, bytes, 0, middle);
    assert.equal(crc32c(first, bytes, middle), crc32c(0xffffffff, bytes));
  }));
});

Deno.test("a word is hashed as its four little-endian bytes", () => {
  assert.equal(crc32cOfWord(7, 0x04030201), crc32c(7, Uint8Array.of(1, 2, 3, 4)));
});
