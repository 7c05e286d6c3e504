import assert from "node:assert/strict";
import { once } from "./once.ts";

Deno.test("it is made once, for all who ask", async () => {
  let calls = 0;
  const get = once(() => Promise.resolve({ call: ++calls }));
  const [first, second] = await Promise.all([get(), get()]);
  assert.equal(first, second);
  assert.equal(await get(), first);
  assert.equal(calls, 1);
});

Deno.test("a failure is told to all who wait for it, and not remembered", async () => {
  let calls = 0;
  const get = once(() =>
    ++calls === 1 ? Promise.reject(new Error("full")) : Promise.resolve(calls)
  );
  const both = await Promise.allSettled([get(), get()]);
  assert.deepEqual(both.map(({ status }) => status), ["rejected", "rejected"]);
  assert.equal(await get(), 2);
  assert.equal(await get(), 2);
});
