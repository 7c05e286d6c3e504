import assert from "node:assert/strict";
import fc from "fast-check";
import { withoutSignature } from "./module_signature.ts";

const mark = new TextEncoder().encode("~Module signature appended~\n");

Deno.test("a signed module becomes what was signed", () => {
  fc.assert(fc.property(fc.uint8Array(), fc.uint8Array(), (module, signature) => {
    const trailer = new Uint8Array(12);
    new DataView(trailer.buffer).setUint32(8, signature.length);
    const signed = Uint8Array.of(...module, ...signature, ...trailer, ...mark);
    assert.deepEqual(new Uint8Array(withoutSignature(signed)), module);
  }));
});

Deno.test("what has no signature, or one longer than itself, stays as it is", () => {
  const trailer = new Uint8Array(12).fill(255);
  for (const module of [new Uint8Array(0), mark, Uint8Array.of(...trailer, ...mark)]) {
    assert.equal(withoutSignature(module), module);
  }
});
