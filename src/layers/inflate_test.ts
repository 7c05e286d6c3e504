import assert from "node:assert/strict";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { noise } from "../../tests/support/fake_registry.ts";
import { joined } from "../../tests/support/layer_fixture.ts";
import { isBangerError } from "../model/errors.ts";
import { inflate } from "./inflate.ts";

async function* inChunks(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) {
    yield await Promise.resolve(bytes.subarray(at, at + size));
  }
}

async function inflated(bytes: Uint8Array, chunkBytes = 1000): Promise<Uint8Array> {
  return joined(
    await Array.fromAsync(inflate(inChunks(bytes, chunkBytes), "layer"), (chunk) => chunk.slice()),
  );
}

/** Bytes that do not compress well, and some that do. */
function content(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => at % 3 === 0 ? (at * at * 31) >>> 7 : 65);
}

const skippable = Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3);

Deno.test("members and frames one after the other are one stream, wherever chunks end", async () => {
  const parts = [content(10), content(0), content(300_000), content(7)];
  const expected = joined(parts);
  const forms = {
    gzip: joined(parts.map((part) => gzipSync(part))),
    zstd: joined([skippable, ...parts.map((part) => zstdCompressSync(part)), skippable]),
    none: expected,
  };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("gzip", "zstd", "none"),
      fc.integer({ min: 1, max: 5000 }),
      async (form, chunkBytes) => {
        assert.deepEqual(await inflated(forms[form as keyof typeof forms], chunkBytes), expected);
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("a source may put each chunk into the same buffer", async () => {
  const content = noise(400_000, 5);
  const forms = {
    gzip: gzipSync(content),
    "zstd, one frame": zstdCompressSync(content),
    "zstd, frames over several chunks": joined(
      Array.from(
        { length: 8 },
        (_, at) => zstdCompressSync(content.subarray(at * 50_000, (at + 1) * 50_000)),
      ),
    ),
    none: content,
  };
  async function* reusing(bytes: Uint8Array, size: number) {
    const buffer = new Uint8Array(size);
    for (let at = 0; at < bytes.length; at += size) {
      // As a read of a file that takes its time.
      await new Promise((resolve) => setTimeout(resolve, 0));
      buffer.fill(0xee);
      const part = bytes.subarray(at, at + size);
      buffer.set(part);
      yield buffer.subarray(0, part.length);
    }
  }
  const all = async (stream: AsyncIterable<Uint8Array>) =>
    joined(await Array.fromAsync(inflate(stream, "layer"), (chunk) => chunk.slice()));
  for (const [form, bytes] of Object.entries(forms)) {
    for (const size of [20_000, 100_000]) {
      assert.deepEqual(await all(reusing(bytes, size)), content, form);
    }
  }
  const start = content.subarray(0, 50);
  for (const bytes of [gzipSync(start), zstdCompressSync(start), start]) {
    assert.deepEqual(await all(reusing(new Uint8Array(bytes), 3)), start);
  }
});

Deno.test("a frame that becomes large, and one that is large, are streamed", async () => {
  const zeros = new Uint8Array(20_000_000);
  const noise = crypto.getRandomValues(new Uint8Array(60_000));
  const random = joined(
    Array.from({ length: 10 }, (_, index) => noise.map((byte) => byte ^ index * 17)),
  );
  const both = joined([zstdCompressSync(zeros), zstdCompressSync(random)]);
  assert.deepEqual(await inflated(both, 65_536), joined([zeros, random]));
});

Deno.test("damaged and cut streams are refused", async () => {
  for (
    const whole of [
      gzipSync(content(50_000)),
      zstdCompressSync(content(50_000)),
      zstdCompressSync(content(900_000)),
    ]
  ) {
    const flipped = Uint8Array.from(
      whole,
      (byte, at) => at === whole.length >> 1 ? byte ^ 0xff : byte,
    );
    for (const bytes of [whole.subarray(0, whole.length - 5), whole.subarray(0, 5), flipped]) {
      await assert.rejects(inflated(bytes), (error) => {
        assert.ok(isBangerError(error, "untrusted"), `${error}`);
        assert.match(error.message, /^Cannot unpack layer "layer": it (cannot be inflated: |is )/);
        return true;
      });
    }
  }
});

Deno.test("bytes behind a gzip stream are refused", async () => {
  for (const fill of [0, 65]) {
    const tail = new Uint8Array(1_000_000).fill(fill);
    await assert.rejects(
      inflated(joined([gzipSync(content(1000)), tail])),
      (error) => isBangerError(error, "untrusted"),
    );
  }
});

Deno.test("a failure of the source stays what it is, and the source is closed", async () => {
  for (const form of [gzipSync, zstdCompressSync]) {
    let isClosed = false;
    const failing = async function* () {
      try {
        yield form(content(100_000)).subarray(0, 500);
        await Promise.resolve();
        throw new Error("network");
      } finally {
        isClosed = true;
      }
    };
    await assert.rejects(Array.fromAsync(inflate(failing(), "layer")), /^Error: network$/);
    assert.ok(isClosed);
  }
});

Deno.test("when the reader stops early, the source is closed", async () => {
  for (
    const bytes of [
      gzipSync(content(500_000)),
      zstdCompressSync(content(500_000)),
      content(500_000),
    ]
  ) {
    let isClosed = false;
    const source = async function* () {
      try {
        yield* inChunks(bytes, 1000);
      } finally {
        isClosed = true;
      }
    };
    for await (const _ of inflate(source(), "layer")) break;
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.ok(isClosed);
  }
});
