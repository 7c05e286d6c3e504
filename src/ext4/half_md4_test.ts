import assert from "node:assert/strict";
import { halfMd4, hashSeed } from "./half_md4.ts";

/** Values of `debugfs -R 'dx_hash -h half_md4 NAME'`. */
const known = {
  "a": 0xd5fa7d7a,
  "hello": 0x1746da32,
  "file-number-49999": 0x393f6d26,
  ["x".repeat(100)]: 0x23aa98ac,
};

Deno.test("names hash as debugfs says", () => {
  const seed = hashSeed(new Uint8Array(16));
  for (const [name, hash] of Object.entries(known)) assert.equal(halfMd4(name, seed), hash, name);
});

Deno.test("a seed changes the hash, whose lowest bit is clear", () => {
  const seed = hashSeed(new Uint8Array(16).fill(7));
  assert.equal(halfMd4("hello", seed), 0x205dea34);
  for (const name of ["a", "b", "caf\xc3\xa9"]) assert.equal(halfMd4(name, seed) & 1, 0);
});
