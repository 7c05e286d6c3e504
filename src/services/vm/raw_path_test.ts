import assert from "node:assert/strict";
import { memoryLinks } from "../../wire/memory_link.ts";
import { rawReady } from "../../wire/raw.ts";
import { RawPath } from "./raw_path.ts";

const ticket = "ab".repeat(32);

Deno.test("a connection is there when the guest has answered the ticket", async () => {
  const [host, guest] = memoryLinks(1024);
  const claimed = new RawPath(() => Promise.resolve(host), () => 0).claim(ticket);
  const said = new Uint8Array(100);
  assert.equal(await guest.read(said), 64);
  assert.equal(new TextDecoder().decode(said.subarray(0, 64)), ticket);
  await guest.write(Uint8Array.of(rawReady));
  assert.equal(await claimed, host);
  guest.close();
});

Deno.test("a failure is remembered for a minute", async () => {
  let nowMs = 0;
  let opened = 0;
  const open = () => Promise.reject(new Error(`refused ${++opened}`));
  const path = new RawPath(open, () => nowMs);
  assert.equal(await path.claim(ticket), null);
  nowMs = 59_999;
  assert.equal(await path.claim(ticket), null);
  assert.equal(opened, 1);
  nowMs = 60_001;
  assert.equal(await path.claim(ticket), null);
  assert.equal(opened, 2);
});

Deno.test("a guest that does not answer, answers wrongly or hangs up gives no connection", async () => {
  const startMs = performance.now();
  const [silent] = memoryLinks(1024);
  assert.equal(await new RawPath(() => Promise.resolve(silent), () => 0).claim(ticket), null);
  assert.ok(performance.now() - startMs < 4_000);
  const [wrong, liar] = memoryLinks(1024);
  await liar.write(new TextEncoder().encode("SSH-2.0"));
  assert.equal(await new RawPath(() => Promise.resolve(wrong), () => 0).claim(ticket), null);
  const [left, leaver] = memoryLinks(1024);
  leaver.close();
  assert.equal(await new RawPath(() => Promise.resolve(left), () => 0).claim(ticket), null);
});
