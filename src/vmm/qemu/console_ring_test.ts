import assert from "node:assert/strict";
import fc from "fast-check";
import type { GuestLink } from "../contract.ts";
import { recordConsole } from "./console_recorder.ts";
import { ConsoleRing } from "./console_ring.ts";

async function inTempDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-console-" });
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function bytesIn(dir: string): Promise<number> {
  let total = 0;
  for await (const entry of Deno.readDir(dir)) {
    total += (await Deno.stat(`${dir}/${entry.name}`)).size;
  }
  return total;
}

Deno.test("one who follows sees every byte once, as long as he keeps up", async () => {
  const segment = 64;
  const step = fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.constant("read" as const));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (actions) => {
      await inTempDir(async (dir) => {
        const ring = new ConsoleRing(dir, segment);
        const [written, seen]: number[][] = [[], []];
        let position: string | null = null;
        const follow = async () => {
          const part = await new ConsoleRing(dir, segment).readAfter(position, 1_000);
          seen!.push(...part.bytes);
          position = part.position;
        };
        let unread = 0;
        for (const action of actions) {
          if (action !== "read") {
            await ring.append(action);
            written!.push(...action);
            unread += action.length;
          }
          if (action === "read" || unread > segment - 60) {
            await follow();
            unread = 0;
          }
        }
        await follow();
        assert.deepEqual(seen, written);
        ring.close();
      });
    }),
    { numRuns: 50 },
  );
});

Deno.test("a position in a segment that was put away is not one in the new segment", async () => {
  await inTempDir(async (dir) => {
    const ring = new ConsoleRing(dir, 10);
    const text = async (after: string | null) => {
      const { bytes, position } = await ring.readAfter(after, 100);
      return [new TextDecoder().decode(bytes), position] as const;
    };
    await ring.append(new TextEncoder().encode("abcdef"));
    const [, position] = await text(null);
    // Fills the first, and the second up to the very offset of the position.
    await ring.append(new TextEncoder().encode("0123456789"));
    assert.equal((await text(position))[0], "0123456789");
    ring.close();
  });
});

Deno.test("a position of another start gives all that is there", async () => {
  await inTempDir(async (dir) => {
    const ring = new ConsoleRing(dir, 64);
    await ring.append(new TextEncoder().encode("first start"));
    const { position } = await ring.readAfter(null, 100);
    await ring.clear();
    await ring.append(new TextEncoder().encode("second"));
    for (const given of [position, "nonsense", "1:99999"]) {
      const { bytes } = await ring.readAfter(given, 100);
      assert.equal(new TextDecoder().decode(bytes), "second");
    }
    ring.close();
  });
});

Deno.test("the ring ends with what was written last and never exceeds two segments", async () => {
  const segment = 64;
  const steps = fc.array(
    fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.constant("restart" as const)),
    { maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (actions) => {
      await inTempDir(async (dir) => {
        let ring = new ConsoleRing(dir, segment);
        let written: number[] = [];
        for (const action of actions) {
          if (action === "restart") {
            ring.close();
            ring = new ConsoleRing(dir, segment);
          } else {
            await ring.append(action);
            written = [...written, ...action];
          }
          assert.ok(await bytesIn(dir) <= 2 * segment);
          const end = await ring.readEnd(segment);
          assert.deepEqual([...end], written.slice(-segment));
        }
        ring.close();
      });
    }),
    { numRuns: 60 },
  );
});

Deno.test("a cleared ring is empty", async () => {
  await inTempDir(async (dir) => {
    const ring = new ConsoleRing(dir, 8);
    await ring.append(new Uint8Array(20));
    await ring.clear();
    assert.equal((await ring.readEnd(100)).length, 0);
  });
});

Deno.test("a guest that prints without end is slowed down, and stopping does not wait", async () => {
  await inTempDir(async (dir) => {
    let bytesRead = 0;
    const flood: GuestLink = {
      read: (into) => Promise.resolve((bytesRead += into.length, into.length)),
      write: () => Promise.resolve(),
      close: () => {},
    };
    const stop = new AbortController();
    const closing: GuestLink = {
      ...flood,
      read: (into) => stop.signal.aborted ? Promise.resolve(null) : flood.read(into),
    };
    const recording = recordConsole(closing, new ConsoleRing(dir), stop.signal);
    await new Promise((resolve) => setTimeout(resolve, 300));
    stop.abort();
    await recording;
    // A burst of 1 MiB, 0.3 s at 512 KiB/s, and one chunk.
    assert.ok(bytesRead >= 1024 * 1024, `${bytesRead}`);
    assert.ok(bytesRead <= 1024 * 1024 + 512 * 1024, `${bytesRead}`);
    assert.ok(await bytesIn(dir) <= 4 * 1024 * 1024);
  });
});
