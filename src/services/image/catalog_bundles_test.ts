import assert from "node:assert/strict";
import { isBangerError } from "../../model/errors.ts";
import { catalogBundles } from "./catalog_bundles.ts";

const never = new AbortController().signal;

Deno.test("one catalog for a moment, a new one later, at once for who asks for it", async () => {
  let nowMs = 0;
  let asked = 0;
  let status = 200;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    asked++;
    return new Response('{"format": 1, "entries": []}', { status });
  });
  const url = `http://127.0.0.1:${server.addr.port}/catalog.json`;
  const source = catalogBundles({
    settings: { url, fingerprints: [], keyring: null },
    now: () => 0,
    monotonicMs: () => nowMs,
    revision: () => Promise.resolve("1"),
  });
  assert.equal(source.source, `catalog:${url}`);
  await Promise.all([source.load(never), source.load(never)]);
  nowMs = 4_999;
  assert.equal((await source.load(never)).source, url);
  assert.equal(asked, 1);
  nowMs = 5_000;
  await source.load(never);
  assert.equal(asked, 2);
  source.forget();
  await source.load(never);
  assert.equal(asked, 3);

  // That it is not there is kept as well, and no longer.
  source.forget();
  status = 404;
  const gone = () => assert.rejects(source.load(never), (e) => isBangerError(e, "unavailable"));
  await gone();
  await gone();
  assert.equal(asked, 4);
  status = 200;
  nowMs = 10_000;
  await source.load(never);
});

Deno.test("without configuration it is the built-in one, and nobody is asked", async () => {
  const source = catalogBundles({
    settings: { url: null, fingerprints: [], keyring: null },
    now: () => 0,
    monotonicMs: () => 0,
    revision: () => Promise.resolve("1"),
  });
  assert.equal(source.source, "catalog:built-in");
  assert.deepEqual((await source.load(never)).entries, []);
});
