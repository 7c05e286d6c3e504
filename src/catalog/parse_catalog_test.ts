import assert from "node:assert/strict";
import fc from "fast-check";
import { isBangerError } from "../model/errors.ts";
import { findEntry } from "./catalog.ts";
import { embeddedCatalog } from "./embedded_catalog.ts";
import { maxCatalogBytes, parseCatalog, type WrittenEntry } from "./parse_catalog.ts";

const entry: WrittenEntry = {
  kind: "image",
  name: "debian-bookworm",
  arch: "x86_64",
  url: "debian-bookworm.bundle",
  sha256: "a".repeat(64),
  size: 1000,
  signature: "sub/debian-bookworm.bundle.asc",
  signer: "A".repeat(40),
};

const remote = new URL("https://catalog.test/v1/catalog.json");
const local = new URL("http://127.0.0.1:8080/catalog.json");

function text(...entries: readonly unknown[]): string {
  return JSON.stringify({ format: 1, entries });
}

function refused(catalog: string, base: URL | null, words: RegExp): void {
  assert.throws(() => parseCatalog(catalog, "here", base), (error) => {
    assert.ok(isBangerError(error, "untrusted"), String(error));
    assert.equal(error.code, "CATALOG_INVALID");
    assert.match(error.message, words);
    return true;
  });
}

Deno.test("the built-in catalog is valid", () => {
  assert.deepEqual(parseCatalog(embeddedCatalog, "built in", null).entries, []);
});

Deno.test("relative addresses are taken from the catalog's own", () => {
  const catalog = parseCatalog(text(entry, { ...entry, arch: "aarch64" }), "here", remote);
  const found = findEntry(catalog, { kind: "image", name: "debian-bookworm", arch: "aarch64" });
  assert.equal(found?.url, "https://catalog.test/v1/debian-bookworm.bundle");
  assert.equal(found?.signatureUrl, "https://catalog.test/v1/sub/debian-bookworm.bundle.asc");
  assert.equal(
    findEntry(catalog, { kind: "kernel", name: "debian-bookworm", arch: "x86_64" }),
    undefined,
  );
});

Deno.test("whole addresses are https, or of this machine when the catalog is", () => {
  const at = (url: string, base: URL | null) =>
    parseCatalog(text({ ...entry, url, signature: url }), "here", base);
  for (const base of [remote, local, null]) {
    assert.equal(at("https://cdn.test/x", base).entries[0]?.url, "https://cdn.test/x");
  }
  for (const base of [local, null]) {
    for (const url of ["http://127.0.0.1/x", "http://localhost:1/x", "http://[::1]/x"]) {
      assert.equal(at(url, base).entries[0]?.url, url);
    }
  }
});

Deno.test("entries that break a rule are named with it", () => {
  const cases: readonly (readonly [Partial<Record<string, unknown>>, URL | null, RegExp])[] = [
    [{ url: "http://cdn.test/x" }, remote, /entry "debian-bookworm" .*url: it must be an https/],
    [{ url: "ftp://cdn.test/x" }, local, /https/],
    [{ url: "file:///etc/passwd" }, null, /https/],
    [{ url: "http://127.0.0.1:5000/x" }, remote, /leads to this machine/],
    [{ url: "https://localhost/x" }, remote, /leads to this machine/],
    [{ url: "https://u:p@cdn.test/x" }, remote, /user or password/],
    [{ url: "https://cdn.test/x#y" }, remote, /fragment/],
    [{ url: "../x" }, remote, /plain relative name/],
    [{ url: "/x" }, remote, /plain relative name/],
    [{ url: "//cdn.test/x" }, remote, /plain relative name/],
    [{ url: "a b" }, remote, /plain relative name/],
    [{ signature: "x" }, null, /whole address/],
    [{ url: "https://cdn.test/x", signature: "x?y" }, remote, /signature: it is neither/],
    [{ sha256: "A".repeat(64) }, remote, /"entries.0.sha256"/],
    [{ size: 0 }, remote, /"entries.0.size"/],
    [{ size: 2 ** 50 }, remote, /"entries.0.size"/],
    [{ signer: "a".repeat(40) }, remote, /"entries.0.signer"/],
    [{ signer: "DEADBEEF" }, remote, /"entries.0.signer"/],
    [{ kind: "firmware" }, remote, /"entries.0.kind"/],
    [{ arch: "riscv64" }, remote, /"entries.0.arch"/],
    [{ name: "../x" }, remote, /name: it has characters/],
    [{ extra: 1 }, remote, /"entries.0.extra"/],
  ];
  for (const [fields, base, words] of cases) refused(text({ ...entry, ...fields }), base, words);
});

Deno.test("catalogs that break a rule are refused", () => {
  refused(text(entry, entry), remote, /entry "debian-bookworm" .* is in it twice/);
  refused('{"format":2,"entries":[]}', remote, /format 2, this version reads format 1/);
  refused("[]", remote, /catalog "here"/);
  refused("", remote, /not JSON/);
  refused(" ".repeat(maxCatalogBytes + 1), remote, /larger than/);
  refused(text(...Array(1001).fill(entry)), remote, /"entries"/);
});

Deno.test("whatever it holds, it is a catalog or a refusal", () => {
  const fields = fc.record(
    Object.fromEntries(
      Object.entries(entry).map((
        [key, value],
      ) => [key, fc.oneof(fc.constant(value), fc.jsonValue())]),
    ),
    { requiredKeys: [] },
  );
  fc.assert(fc.property(fc.array(fields), (entries) => {
    try {
      for (const each of parseCatalog(text(...entries), "here", remote).entries) {
        assert.match(each.url, /^https:\/\//);
        assert.match(each.signatureUrl, /^https:\/\//);
      }
    } catch (error) {
      assert.ok(isBangerError(error, "untrusted"), String(error));
    }
  }));
});
