import assert from "node:assert/strict";
import fc from "fast-check";
import { frameOf, guest, oracle } from "../../../tests/support/frame_fixture.ts";
import { FrameLengths, maxFrameBytes } from "./frame_lengths.ts";
import { FrameRules } from "./frame_rules.ts";
import { batchBytes, FrameSieve } from "./frame_sieve.ts";

const sieve = () => new FrameSieve(new FrameRules(guest), () => {});

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A frame as it is on the stream. */
function record(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + frame.length);
  new DataView(bytes.buffer).setUint32(0, frame.length);
  bytes.set(frame, 4);
  return bytes;
}

/** Feeds the stream in pieces, as the relay does, and answers all that was to be written. */
function sieved(stream: Uint8Array, cuts: readonly number[]): Uint8Array {
  const one = sieve();
  const written: Uint8Array[] = [];
  let rest = new Uint8Array(0);
  let at = 0;
  const ends = [...cuts.filter((cut) => cut < stream.length), stream.length].sort((a, b) => a - b);
  for (const end of ends) {
    rest = joined([rest, stream.subarray(at, end)]);
    const { batches, usedBytes } = one.sieve(rest);
    written.push(...batches.map((batch) => batch.slice()));
    rest = rest.slice(usedBytes);
    at = end;
  }
  return joined(written);
}

const frame = fc.oneof(
  fc.record({ to: fc.constantFrom("127.0.0.1", "1.1.1.1", "10.0.2.3"), payload: fc.nat(90) })
    .map(frameOf),
  fc.constant(frameOf({ etherType: 0x0806, arp: {} })),
  fc.uint8Array({ maxLength: 70 }),
);

Deno.test("whatever the cuts, exactly the allowed frames pass, byte by byte and in order", () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 12 }), fc.array(fc.nat(1200)), (frames, cuts) => {
      const stream = joined(frames.map(record));
      assert.deepEqual(sieved(stream, cuts), joined(frames.filter(oracle).map(record)));
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("whatever bytes come, nothing breaks and nothing forbidden passes", () => {
  const start = fc.constantFrom([0, 0, 0, 54], [0, 0, 0, 42], [0, 1, 0, 20], [0, 0, 0, 0], [
    1,
    0,
    0,
    0,
  ]);
  const piece = fc.oneof(
    frame.map(record),
    fc.tuple(start, fc.uint8Array({ maxLength: 80 })).map(([head, tail]) =>
      Uint8Array.from([...head, ...tail])
    ),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), fc.array(fc.nat(600)), (pieces, cuts) => {
      let out: Uint8Array;
      try {
        out = sieved(joined(pieces), cuts);
      } catch (error) {
        assert.ok(error instanceof RangeError);
        return;
      }
      const view = new DataView(out.buffer);
      for (let at = 0; at < out.length;) {
        const length = view.getUint32(at);
        assert.ok(oracle(out.subarray(at + 4, at + 4 + length)));
        at += 4 + length;
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("small frames are written together, each batch no longer than arrives at once", () => {
  const frames = Array.from({ length: 100 }, () => record(frameOf({ payload: 1_400 })));
  const { batches, usedBytes } = sieve().sieve(joined(frames));
  assert.equal(usedBytes, joined(frames).length);
  assert.deepEqual(joined(batches), joined(frames));
  assert.ok(batches.every((batch) => batch.length <= batchBytes));
  assert.ok(batches.length <= 6, `${batches.length} batches`);
});

Deno.test("a long frame is written alone, and small ones around it are not held back", () => {
  const [small, long] = [record(frameOf({})), record(frameOf({ payload: 65_535 - 40 }))];
  const { batches } = sieve().sieve(joined([small, long, small, small]));
  assert.deepEqual(batches.map(({ length }) => length), [58, long.length, 116]);
});

Deno.test("an impossible length ends the stream, in either direction", () => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(0, maxFrameBytes + 1);
  assert.throws(() => sieve().sieve(bytes), RangeError);
  assert.throws(() => new FrameLengths().take(bytes), RangeError);
  bytes.fill(0xff);
  assert.throws(() => sieve().sieve(bytes), RangeError);
  assert.throws(() => new FrameLengths().take(bytes), RangeError);
});

Deno.test("lengths are followed through any cuts", () => {
  const long = fc.oneof(frame, fc.constant(new Uint8Array(maxFrameBytes)));
  fc.assert(
    fc.property(fc.array(long, { maxLength: 5 }), fc.array(fc.nat(70_000)), (frames, cuts) => {
      const stream = joined([...frames.map(record), Uint8Array.of(0xff, 0xff, 0xff, 0xff)]);
      const lengths = new FrameLengths();
      const end = stream.length - 4;
      let at = 0;
      for (const cut of [...cuts.filter((it) => it < end), end].sort((a, b) => a - b)) {
        lengths.take(stream.subarray(at, cut));
        at = cut;
      }
      assert.throws(() => lengths.take(stream.subarray(end)), RangeError);
    }),
    { numRuns: 300 },
  );
});
