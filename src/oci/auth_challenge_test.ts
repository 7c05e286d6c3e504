import assert from "node:assert/strict";
import fc from "fast-check";
import { parseChallenges } from "./auth_challenge.ts";

const plain = (header: string) =>
  parseChallenges(header).map(({ scheme, params }) => [scheme, { ...params }]);

Deno.test("challenges are read, several in one header too", () => {
  assert.deepEqual(
    plain('Bearer realm="https://a.example/token",service="a b",scope="x:y,z:pull"'),
    [["bearer", { realm: "https://a.example/token", service: "a b", scope: "x:y,z:pull" }]],
  );
  assert.deepEqual(plain('Basic realm="a \\"quoted\\" one", Bearer realm=b , service=c'), [
    ["basic", { realm: 'a "quoted" one' }],
    ["bearer", { realm: "b", service: "c" }],
  ]);
  assert.deepEqual(plain("Negotiate abc==, BASIC REALM=x"), [
    ["negotiate", {}],
    ["basic", { realm: "x" }],
  ]);
  assert.deepEqual(plain('Bearer realm="unfinished'), [["bearer", {}]]);
  assert.deepEqual(plain(""), []);
  assert.deepEqual(plain("x".repeat(10_000)), []);
});

Deno.test("names such as __proto__ are names", () => {
  const [challenge] = parseChallenges("Bearer __proto__=x, realm=y");
  assert.equal(challenge?.params["realm"], "y");
  assert.equal(challenge?.params["__proto__"], "x");
});

Deno.test("any header is read in bounded time, and quoted values come back", () => {
  const nasty = fc.string({ unit: fc.constantFrom(...'aB=", \\\t;~/'), maxLength: 300 });
  fc.assert(fc.property(fc.oneof(nasty, fc.string()), (header) => {
    assert.ok(parseChallenges(header).length <= 8);
  }));
  fc.assert(fc.property(fc.string({ unit: "grapheme-ascii" }), (value) => {
    const header = `Bearer realm="${value.replaceAll(/["\\]/g, "\\$&")}", service=s`;
    assert.deepEqual(plain(header), [["bearer", { realm: value, service: "s" }]]);
  }));
});
