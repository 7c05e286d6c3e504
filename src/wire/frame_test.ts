import assert from "node:assert/strict";
import fc from "fast-check";
import {
  encodeFrame,
  FrameDecoder,
  type FrameSink,
  frameTypes,
  maxDataBytes,
  maxFrameBytes,
  writeHeader,
} from "./frame.ts";
import { LinkError } from "./link.ts";
import { decodeJson, encodeJson } from "./json.ts";

interface Seen {
  type: number;
  stream: number;
  bytes: number[];
}

/** Gathers frames; pieces of data of one stream and channel are joined. */
function collector(): FrameSink & { seen: Seen[] } {
  const seen: Seen[] = [];
  return {
    seen,
    onData(stream, channel, bytes) {
      const last = seen.at(-1);
      const type = channel === 0 ? frameTypes.data : frameTypes.stderrData;
      if (last?.type === type && last.stream === stream) last.bytes.push(...bytes);
      else seen.push({ type, stream, bytes: [...bytes] });
    },
    onFrame(type, stream, payload) {
      seen.push({ type, stream, bytes: [...payload] });
    },
  };
}

function pushInCuts(decoder: FrameDecoder, bytes: Uint8Array, cuts: number[], sink: FrameSink) {
  let at = 0;
  for (const cut of cuts) {
    decoder.push(bytes.subarray(at, at + cut), sink);
    at += cut;
  }
  decoder.push(bytes.subarray(at), sink);
}

const frameArbitrary = fc.record({
  type: fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8),
  stream: fc.integer({ min: 1, max: 0xffffffff }),
  payload: fc.uint8Array({ maxLength: 300 }),
  pads: fc.integer({ min: 0, max: 5 }),
});

Deno.test("frames survive every cut, with pads between them", () => {
  fc.assert(
    fc.property(
      fc.array(frameArbitrary, { maxLength: 12 }),
      fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 40 }),
      (frames, cuts) => {
        const parts = frames.flatMap((frame) => [
          new Uint8Array(frame.pads),
          encodeFrame(frame.type, frame.stream, frame.payload),
        ]);
        const bytes = concat(parts);
        const whole = collector();
        new FrameDecoder().push(bytes, whole);
        const cut = collector();
        pushInCuts(new FrameDecoder(), bytes, cuts, cut);
        assert.deepEqual(cut.seen, whole.seen);
        const controls = frames.filter((frame) => frame.type !== 2 && frame.type !== 3);
        assert.deepEqual(
          whole.seen.filter((seen) => seen.type !== 2 && seen.type !== 3),
          controls.map((frame) => ({
            type: frame.type,
            stream: frame.stream,
            bytes: [...frame.payload],
          })),
        );
      },
    ),
  );
});

Deno.test("garbage is refused with a LinkError and never anything else", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (chunks) => {
      const decoder = new FrameDecoder();
      try {
        for (const chunk of chunks) decoder.push(chunk, collector());
      } catch (error) {
        assert.ok(error instanceof LinkError && error.reason === "protocol");
      }
    }),
  );
});

Deno.test("too long a frame and an unknown type are refused from the header alone", () => {
  for (const [type, length] of [[2, maxDataBytes + 1], [6, 65537], [11, 0], [255, 1]] as const) {
    const header = new Uint8Array(9);
    writeHeader(header, 0, type, 1, length);
    assert.throws(() => new FrameDecoder().push(header, collector()), { reason: "protocol" });
  }
});

Deno.test("a hunting decoder finds the wanted frame behind any garbage and any cut", () => {
  const wanted = encodeFrame(frameTypes.hello, 0, encodeJson({ magic: "banger-link", n: 1 }));
  const decoy = encodeFrame(frameTypes.data, 3, encodeJson({ magic: "banger-link", n: 0 }));
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 30 }),
      fc.boolean(),
      (garbage, cuts, withDecoy) => {
        const decoder = new FrameDecoder();
        decoder.hunt(frameTypes.hello, `{"magic":"banger-link"`);
        const sink = collector();
        const after = encodeFrame(frameTypes.eof, 7, Uint8Array.of(0));
        const stale = withDecoy ? [garbage, decoy] : [garbage];
        pushInCuts(decoder, concat([...stale, wanted, after]), cuts, sink);
        assert.deepEqual(sink.seen.map((seen) => seen.type), [frameTypes.hello, frameTypes.eof]);
      },
    ),
  );
});

Deno.test("pads complete every frame that can be half sent", () => {
  const half = encodeFrame(frameTypes.control, 1, new Uint8Array(65536).fill(0x20)).subarray(0, 10);
  const sink = collector();
  const decoder = new FrameDecoder();
  decoder.push(half, sink);
  decoder.push(new Uint8Array(maxFrameBytes), sink);
  decoder.push(encodeFrame(frameTypes.hello, 0, Uint8Array.of(1)), sink);
  assert.equal(sink.seen.at(-1)?.type, frameTypes.hello);
});

Deno.test("JSON deeper than 32 is refused, braces in strings do not count", () => {
  const nested = (depth: number) => new TextEncoder().encode("[".repeat(depth) + "]".repeat(depth));
  assert.doesNotThrow(() => decodeJson(nested(32)));
  assert.throws(() => decodeJson(nested(33)), { reason: "protocol" });
  const text = { text: '[["\\'.repeat(50) };
  assert.deepEqual(decodeJson(encodeJson(text)), text);
  assert.throws(() => decodeJson(Uint8Array.of(0xff)), { reason: "protocol" });
});

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
