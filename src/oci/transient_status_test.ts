import assert from "node:assert/strict";
import { networkReason } from "./transient_error.ts";
import { parseRetryAfter, transientStatus } from "./transient_status.ts";

Deno.test("Retry-After is seconds or a date", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  assert.equal(parseRetryAfter("3", now), 3000);
  assert.equal(parseRetryAfter("Thu, 01 Jan 2026 00:00:05 GMT", now), 5000);
  assert.equal(parseRetryAfter("Thu, 01 Jan 2025 00:00:05 GMT", now), 0);
  for (const bad of [null, "", "-1", "soon", "1e9", "99999999999999", "2026-01-01"]) {
    assert.equal(parseRetryAfter(bad, now), undefined, String(bad));
  }
});

Deno.test("what a server may do later is told from what it refuses", () => {
  const of = (status: number) =>
    transientStatus(new Response(null, { status }), "it") !== undefined;
  for (const status of [408, 425, 429, 500, 502, 503, 504]) assert.equal(of(status), true);
  for (const status of [200, 206, 400, 401, 403, 404, 416]) assert.equal(of(status), false);
});

Deno.test("the reason of a failed fetch has its causes and no signed URL", () => {
  const inner = new Error("sending to (https://cdn.example/x?X-Signature=s3cr3t) failed");
  const reason = networkReason(new TypeError("fetch failed", { cause: inner }));
  assert.equal(reason, "fetch failed: sending to (https://cdn.example) failed");
});
