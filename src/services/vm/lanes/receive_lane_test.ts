import assert from "node:assert/strict";
import fc from "fast-check";
import { memoryLinks } from "../../../wire/memory_link.ts";
import { receiveLane } from "./receive_lane.ts";

const none = new Uint8Array(0);

Deno.test("exactly the told number of bytes is taken, whenever it is told", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 10 }),
      fc.nat(11),
      fc.boolean(),
      async (pieces, toldAt, haveFirst) => {
        const [host, guest] = memoryLinks(64);
        const total = Promise.withResolvers<number>();
        const all = pieces.flatMap((piece) => [...piece]);
        const got: number[] = [];
        const [first = none, ...rest] = haveFirst ? pieces : [none, ...pieces];
        const received = receiveLane(host, first, total.promise, (bytes) => {
          got.push(...bytes);
          return Promise.resolve();
        });
        for (const [index, piece] of rest.entries()) {
          if (index === toldAt) total.resolve(all.length);
          await guest.write(piece);
        }
        total.resolve(all.length);
        assert.equal(await received, true);
        assert.deepEqual(got, all);
        host.close();
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("more bytes than told, or an early end, is not whole", async () => {
  const write = () => Promise.resolve();
  const [host, guest] = memoryLinks();
  await guest.write(new Uint8Array(10));
  assert.equal(await receiveLane(host, none, Promise.resolve(9), write), false);
  const [short, leaver] = memoryLinks();
  await leaver.write(new Uint8Array(10));
  leaver.close();
  assert.equal(await receiveLane(short, none, Promise.resolve(11), write), false);
  const [untold, gone] = memoryLinks();
  gone.close();
  assert.equal(await receiveLane(untold, none, new Promise(() => {}), write), false);
  // What is told when a stream ended without a count.
  const [lied] = memoryLinks();
  assert.equal(await receiveLane(lied, none, Promise.resolve(-1), write), false);
});

Deno.test("a slow reader holds the sender back", async () => {
  const [host, guest] = memoryLinks(1000);
  const turn = Promise.withResolvers<void>();
  let sent = 0;
  const sending = (async () => {
    for (; sent < 100_000; sent += 1000) await guest.write(new Uint8Array(1000));
  })();
  const received = receiveLane(host, none, Promise.resolve(100_000), () => turn.promise);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(sent <= 3000, `${sent} bytes`);
  turn.resolve();
  assert.equal(await received, true);
  await sending;
});
