import assert from "node:assert/strict";
import { isBangerError } from "../model/errors.ts";
import { embeddedTrust } from "./embedded_catalog.ts";
import { loadCatalog, loadTrust } from "./load_catalog.ts";
import { maxCatalogBytes } from "./parse_catalog.ts";

const options = { signal: new AbortController().signal, retryDelaysMs: [] };
const nothing = { url: null, fingerprints: [], keyring: null };

async function inDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-test-" });
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("without configuration, catalog and keys are the built-in ones", async () => {
  assert.deepEqual((await loadCatalog({ url: null }, options)).entries, []);
  assert.equal(await loadTrust(nothing), embeddedTrust);
});

Deno.test("a configured catalog is never trusted by the built-in keys", async () => {
  const trust = await loadTrust({ ...nothing, url: "https://catalog.test/c.json" });
  assert.notEqual(trust, embeddedTrust);
  assert.deepEqual(trust.fingerprints, []);
});

Deno.test("files that cannot be a catalog or a keyring are refused by name", () =>
  inDir(async (dir) => {
    const file = `${dir}/catalog.json`;
    const cases: readonly (readonly [Uint8Array | null, string])[] = [
      [null, "CATALOG_UNREADABLE"],
      [new Uint8Array(maxCatalogBytes + 1), "CATALOG_UNREADABLE"],
      [Uint8Array.of(0xff), "CATALOG_INVALID"],
      [new TextEncoder().encode("{}"), "CATALOG_INVALID"],
    ];
    for (const [bytes, code] of cases) {
      if (bytes !== null) await Deno.writeFile(file, bytes);
      await assert.rejects(loadCatalog({ url: file }, options), (error) => {
        assert.ok(isBangerError(error), String(error));
        assert.equal(error.code, code);
        assert.ok(error.message.includes(file));
        return true;
      });
    }
    for (const keyring of [`${dir}/none`, dir]) {
      await assert.rejects(loadTrust({ ...nothing, keyring }), (error) => {
        assert.ok(isBangerError(error, "precondition"), String(error));
        assert.equal(error.code, "KEYRING_UNREADABLE");
        return true;
      });
    }
  }));

Deno.test("a catalog that is served is bounded, and its server named", async () => {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) =>
      request.url.endsWith("endless")
        ? new Response(new Uint8Array(maxCatalogBytes + 1))
        : new Response('{"format":1,"entries":[]}'),
  );
  try {
    const base = `http://127.0.0.1:${server.addr.port}`;
    assert.equal((await loadCatalog({ url: `${base}/c` }, options)).source, `${base}/c`);
    await assert.rejects(
      loadCatalog({ url: `${base}/endless` }, options),
      (error) => isBangerError(error, "untrusted") && error.code === "SIZE_MISMATCH",
    );
  } finally {
    await server.shutdown();
  }
  await assert.rejects(
    loadCatalog({ url: "https://127.0.0.1:1/c" }, options),
    (error) => isBangerError(error, "unavailable"),
  );
});
