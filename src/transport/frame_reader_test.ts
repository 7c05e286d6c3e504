import assert from "node:assert/strict";
import fc from "fast-check";
import { FrameReader, FrameTooLongError } from "./frame_reader.ts";

const newline = 10;

/** Gives `piece` to the reader as a read of a link would, and answers the lines that are complete. */
function feed(reader: FrameReader, piece: Uint8Array): string[] {
  reader.space.set(piece);
  reader.took(piece.length);
  const lines: string[] = [];
  for (let line = reader.next(); line !== undefined; line = reader.next()) {
    lines.push(line.toHex());
  }
  return lines;
}

Deno.test("bytes in whatever pieces are the same lines, and the rest is given back", () => {
  const byte = fc.oneof(fc.constant(newline), fc.nat(255));
  const piece = fc.uint8Array({ maxLength: 40 }).chain((bytes) =>
    fc.tuple(...Array.from(bytes, () => byte)).map((values) => Uint8Array.from(values))
  );
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
    const reader = new FrameReader(1000);
    const lines = pieces.flatMap((one) => feed(reader, one));
    const rest = reader.takeRest();
    const whole = pieces.flatMap((one) => [...one]);
    const expected: string[] = [];
    let start = 0;
    for (let end = whole.indexOf(newline); end !== -1; end = whole.indexOf(newline, start)) {
      expected.push(Uint8Array.from(whole.slice(start, end)).toHex());
      start = end + 1;
    }
    assert.deepEqual(lines, expected);
    assert.deepEqual([...rest], whole.slice(start));
    assert.equal(reader.takeRest().length, 0);
  }));
});

Deno.test("a line may be as long as the limit and no longer, in one piece or in many", () => {
  const line = (length: number) => new Uint8Array(length).fill(0x61);
  const reader = new FrameReader(100);
  assert.deepEqual(feed(reader, Uint8Array.of(...line(100), newline)), [line(100).toHex()]);
  assert.deepEqual(feed(reader, line(60)), []);
  assert.throws(() => feed(reader, line(41)), FrameTooLongError);
  assert.throws(() => feed(new FrameReader(100), line(101)), FrameTooLongError);
});
