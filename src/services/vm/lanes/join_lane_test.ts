import assert from "node:assert/strict";
import fc from "fast-check";
import { memoryLinks } from "../../../wire/memory_link.ts";
import { joinLane } from "./join_lane.ts";

const nonce = "0123456789abcdef".repeat(4);
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** Writes in pieces of the given sizes, the last one repeated. */
async function writeIn(
  link: { write(bytes: Uint8Array): Promise<void> },
  bytes: Uint8Array,
  sizes: readonly number[],
): Promise<void> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn] ?? bytes.length;
    await link.write(bytes.subarray(at, at + size));
    at += size;
  }
}

Deno.test("what an earlier use left is thrown away, in whatever pieces it comes", async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 20 });
  const stale = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    // As near to the nonce as it gets.
    fc.nat(63).map((length) => bytesOf(nonce.slice(0, length))),
    fc.constant(bytesOf(`${"f".repeat(64)}\n`)),
  );
  await fc.assert(
    fc.asyncProperty(stale, fc.uint8Array({ maxLength: 100 }), sizes, async (left, data, sizes) => {
      const [host, guest] = memoryLinks(1 << 20);
      const all = new Uint8Array([...left, ...bytesOf(`${nonce}\n`), ...data]);
      const joined = joinLane(host, nonce);
      await writeIn(guest, all, sizes);
      const first = await joined;
      assert.ok(first !== null);
      const got = [...first];
      const buffer = new Uint8Array(1000);
      while (got.length < data.length) {
        const count = await host.read(buffer);
        got.push(...buffer.subarray(0, count!));
      }
      assert.deepEqual(got, [...data]);
      const count = await guest.read(buffer);
      assert.equal(new TextDecoder().decode(buffer.subarray(0, count!)), `\n${nonce}\n`);
      host.close();
    }),
    { numRuns: 200 },
  );
});

Deno.test("a guest that is silent, hangs up or sends no nonce joins nothing, and the link is closed", async () => {
  const [silent, other] = memoryLinks();
  assert.equal(await joinLane(silent, nonce, 20), null);
  assert.equal(await other.read(new Uint8Array(1)), null);

  const [left, leaver] = memoryLinks();
  leaver.close();
  assert.equal(await joinLane(left, nonce), null);

  const [flooded, flooder] = memoryLinks(1 << 20);
  let sent = 0;
  const flood = (async () => {
    for (const piece = new Uint8Array(1 << 20);; sent += piece.length) await flooder.write(piece);
  })();
  assert.equal(await joinLane(flooded, nonce), null);
  await assert.rejects(flood, { name: "LinkError" });
  assert.ok(sent < 20 * 1024 * 1024, `${sent} bytes`);
});
