import assert from "node:assert/strict";
import { pause } from "./pause.ts";

Deno.test("a pause lasts its time, and ends early when nobody waits any more", async () => {
  const begun = performance.now();
  await pause(20);
  // Timers may fire a fraction of a millisecond early.
  assert.ok(performance.now() - begun >= 19);
  const stop = new AbortController();
  const waiting = pause(60_000, stop.signal);
  stop.abort();
  await waiting;
  await pause(60_000, stop.signal);
});
