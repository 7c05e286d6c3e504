import assert from "node:assert/strict";
import { PeerCheck } from "./peer_check.ts";

/** A check whose looks end when the test says so. */
function fixture() {
  const looks: PromiseWithResolvers<readonly number[]>[] = [];
  const check = new PeerCheck(7, () => {
    const look = Promise.withResolvers<readonly number[]>();
    looks.push(look);
    return look.promise;
  });
  return { check, looks };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

Deno.test("only the owner's processes may be there, and somebody must be", async () => {
  for (
    const [uids, expected] of [[[7], true], [[7, 8], false], [[0], false], [[], false]] as const
  ) {
    const check = new PeerCheck(7, () => Promise.resolve(uids));
    assert.equal(await check.areOwn(), expected, uids.join());
  }
});

Deno.test("a look serves those who came before it began, and no later one", async () => {
  const { check, looks } = fixture();
  const first = check.areOwn();
  await turns();
  assert.equal(looks.length, 1);
  const second = Promise.all([check.areOwn(), check.areOwn(), check.areOwn()]);
  await turns();
  assert.equal(looks.length, 1, "they wait for a look of their own");
  looks[0]?.resolve([7]);
  assert.equal(await first, true);
  await turns();
  assert.equal(looks.length, 2);
  looks[1]?.resolve([7, 0]);
  assert.deepEqual(await second, [false, false, false]);
});

Deno.test("a look that fails fails its connections and no later ones", async () => {
  const { check, looks } = fixture();
  const first = assert.rejects(check.areOwn(), /no FFI/);
  await turns();
  const second = check.areOwn();
  looks[0]?.reject(new Error("no FFI"));
  await first;
  await turns();
  looks[1]?.resolve([7]);
  assert.equal(await second, true);
});
