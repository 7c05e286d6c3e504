import assert from "node:assert/strict";
import fc from "fast-check";
import { isBangerError } from "../model/errors.ts";
import { BlockSpace } from "./block_space.ts";
import { ContentWriter } from "./content_writer.ts";
import type { Content } from "./inode.ts";

const blockBytes = 4096;

/** A disk in memory, of which some blocks are taken. */
function disk(blocks: number, taken: readonly (readonly [number, number])[] = []) {
  const bytes = new Uint8Array(blocks * blockBytes);
  const space = new BlockSpace(blocks);
  for (const [start, count] of taken) space.take(start, count);
  const writer = new ContentWriter(space, { writeAt: (part, offset) => bytes.set(part, offset) });
  const read = ({ size, extents }: Content) => {
    const file = new Uint8Array(Math.ceil(size / blockBytes) * blockBytes);
    for (const { logical, physical, length } of extents) {
      const start = physical * blockBytes;
      file.set(bytes.subarray(start, start + length * blockBytes), logical * blockBytes);
    }
    return file.subarray(0, size);
  };
  return { space, writer, read };
}

const piece = fc.record({
  gap: fc.integer({ min: 0, max: 60_000 }),
  // Short ones are gathered, long ones written from where they are.
  length: fc.oneof(fc.integer({ min: 0, max: 40_000 }), fc.integer({ min: 120_000, max: 180_000 })),
  fill: fc.integer({ min: 0, max: 3 }),
});

Deno.test("files read back as they were written, whatever was released in between", () => {
  const files = fc.array(
    fc.record({
      pieces: fc.array(piece, { maxLength: 5 }),
      tail: fc.nat(9000),
      drop: fc.boolean(),
    }),
    { maxLength: 12 },
  );
  fc.assert(fc.property(files, (all) => {
    const { space, writer, read } = disk(4000, [[0, 3], [40, 10], [1000, 1]]);
    const kept: { content: Content; expected: Uint8Array }[] = [];
    for (const { pieces, tail, drop } of all) {
      const size = pieces.reduce((sum, { gap, length }) => sum + gap + length, tail);
      const expected = new Uint8Array(size);
      writer.begin(size);
      let at = 0;
      for (const { gap, length, fill } of pieces) {
        at += gap;
        expected.fill(fill, at, at + length);
        // In two calls, as chunks of a layer come.
        const half = at + Math.floor(length / 2);
        writer.write(expected.subarray(at, half), at);
        writer.write(expected.subarray(half, at + length), half);
        at += length;
      }
      const content = writer.end();
      if (drop) writer.release(content);
      else kept.push({ content, expected });
    }
    writer.flush();
    const owned = new Set<number>();
    for (const { content, expected } of kept) {
      assert.deepEqual(read(content), expected);
      for (const { physical, length } of content.extents) {
        for (let block = physical; block < physical + length; block++) {
          assert.ok(!owned.has(block) && !(block >= 40 && block < 50) && block > 2, `${block}`);
          owned.add(block);
        }
      }
    }
    assert.equal(space.usedBlocks, owned.size + 14);
  }));
});

Deno.test("long runs of zeros become holes, short ones do not", () => {
  const { writer } = disk(1000);
  const bytes = new Uint8Array(100 * blockBytes);
  for (const block of [0, 5, 50]) bytes[block * blockBytes] = 1;
  const { extents } = writer.putAll(bytes);
  assert.deepEqual(extents.map(({ logical, length }) => [logical, length]), [[0, 6], [50, 1]]);
  assert.deepEqual(writer.putAll(new Uint8Array(10_000)).extents, []);
});

Deno.test("released blocks are used again, at last also for a file that does not fit one run", () => {
  const { space, writer } = disk(100);
  const data = (blocks: number) => new Uint8Array(blocks * blockBytes).fill(1);
  const contents = Array.from({ length: 10 }, () => writer.putAll(data(10)));
  writer.release(contents[2]!);
  const again = writer.putAll(data(4));
  assert.equal(again.extents[0]!.physical, 20);
  writer.release(contents[7]!);
  writer.putAll(data(16));
  assert.equal(space.usedBlocks, 100);
  assert.throws(() => writer.putAll(data(1)), (error) => isBangerError(error, "exhausted"));
});

Deno.test("what was gathered for blocks that were freed does not come over what is there now", () => {
  const { writer, read } = disk(100);
  const bytes = 128 * 1024;
  const write = (fill: number, atOnce: number) => {
    writer.begin(bytes);
    for (let at = 0; at < bytes; at += atOnce) {
      writer.write(new Uint8Array(atOnce).fill(fill), at);
    }
    return writer.end();
  };
  const small = write(1, 4096);
  writer.release(small);
  const large = write(2, bytes);
  writer.flush();
  assert.equal(large.extents[0]?.physical, small.extents[0]?.physical);
  assert.ok(read(large).every((byte) => byte === 2));
});
