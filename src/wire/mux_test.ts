import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeFrame, frameTypes, writeU32 } from "./frame.ts";
import { encodeJson } from "./json.ts";
import { type ByteLink, LinkError } from "./link.ts";
import { memoryLinks } from "./memory_link.ts";
import { Mux, runMux } from "./mux.ts";
import { type MuxStream, windowBytes } from "./mux_stream.ts";

interface Pair extends AsyncDisposable {
  readonly near: Mux;
  readonly far: Mux;
}

function pair(onStream: (stream: MuxStream) => void, capacity?: number): Pair {
  const [nearLink, farLink] = memoryLinks(capacity);
  const near = new Mux(nearLink, { side: "starter" });
  const far = new Mux(farLink, { side: "acceptor", onStream });
  const over = [runMux(nearLink, near), runMux(farLink, far)];
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      near.end(new LinkError("ended", "test is over"));
      await Promise.all(over);
    },
  };
}

async function echo(stream: MuxStream): Promise<void> {
  let total = 0;
  for (let bytes = await stream.read(); bytes !== null; bytes = await stream.read()) {
    total += bytes.length;
    await stream.write(bytes);
  }
  stream.end();
  stream.close({ total });
}

async function readAll(stream: MuxStream, channel: 0 | 1 = 0): Promise<Uint8Array> {
  const parts: number[] = [];
  for (let b = await stream.read(channel); b !== null; b = await stream.read(channel)) {
    for (const byte of b) parts.push(byte);
  }
  return Uint8Array.from(parts);
}

Deno.test("streams echo any bytes at once, whatever the sizes and the link's buffer", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 5 }), {
        minLength: 1,
        maxLength: 6,
      }),
      fc.integer({ min: 1, max: 5000 }),
      async (streams, capacity) => {
        await using muxes = pair((stream) => void echo(stream), capacity);
        await Promise.all(streams.map(async (chunks, index) => {
          const stream = muxes.near.open({ index });
          const sending = (async () => {
            for (const chunk of chunks) await stream.write(chunk);
            stream.end();
          })();
          const [got] = await Promise.all([readAll(stream), sending]);
          assert.deepEqual([...got], chunks.flatMap((chunk) => [...chunk]));
          const end = await stream.ended;
          assert.deepEqual(end, { how: "closed", reply: { total: got.length } });
        }));
        assert.equal(muxes.near.streamCount, 0);
        assert.equal(muxes.far.streamCount, 0);
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("a stream that nobody reads stalls at its window and no other stream", async () => {
  const held: MuxStream[] = [];
  await using muxes = pair((stream) => {
    if ((stream.request as { hold?: boolean }).hold) held.push(stream);
    else void echo(stream);
  });
  const stalled = muxes.near.open({ hold: true });
  let done = false;
  const writing = stalled.write(new Uint8Array(windowBytes + 1)).then(() => done = true);
  const other = muxes.near.open({});
  const sending = other.write(new Uint8Array(4 * windowBytes)).then(() => other.end());
  assert.equal((await readAll(other)).length, 4 * windowBytes);
  await sending;
  assert.equal(done, false);
  await held[0]!.read();
  let left = windowBytes;
  while (left > 0 && !done) left -= (await held[0]!.read())?.length ?? left;
  await writing;
  assert.equal(done, true);
});

Deno.test("both channels and control messages pass; the reply comes after the bytes", async () => {
  const controls: unknown[] = [];
  await using muxes = pair(async (stream) => {
    stream.onControl = (message) => controls.push(message);
    await stream.read();
    await Promise.all([
      stream.write(new Uint8Array(300_000).fill(1), 0),
      stream.write(new Uint8Array(300_000).fill(2), 1),
    ]);
    stream.close("done");
  });
  const stream = muxes.near.open("go");
  stream.control({ signal: "INT" });
  await stream.write(Uint8Array.of(1));
  const [out, err] = await Promise.all([readAll(stream, 0), readAll(stream, 1)]);
  assert.equal(out.length, 300_000);
  assert.ok(err.length === 300_000 && err.every((byte) => byte === 2));
  assert.deepEqual(controls, [{ signal: "INT" }]);
});

Deno.test("a reset reaches the other side's reads and writes", async () => {
  const { promise, resolve } = Promise.withResolvers<MuxStream>();
  await using muxes = pair(resolve);
  const near = muxes.near.open(1);
  const far = await promise;
  const reading = assert.rejects(far.read(), { reason: "reset" });
  const writing = assert.rejects(far.write(new Uint8Array(windowBytes * 2)), { reason: "reset" });
  near.reset("no more");
  await Promise.all([reading, writing]);
  assert.deepEqual(await far.ended, { how: "reset", reason: "no more" });
});

Deno.test("the 257th stream is refused on both sides", async () => {
  await using muxes = pair(() => {});
  for (let index = 0; index < 256; index++) muxes.near.open(index);
  assert.throws(() => muxes.near.open(256), { reason: "limit" });
});

/** A session whose peer is raw bytes. */
function raw(
  capacity = 4 * 1024 * 1024,
): { mux: Mux; link: ByteLink; over: Promise<LinkError>; streams: MuxStream[] } {
  const [nearLink, link] = memoryLinks(capacity);
  const streams: MuxStream[] = [];
  const mux = new Mux(nearLink, { side: "acceptor", onStream: (stream) => streams.push(stream) });
  return { mux, link, over: runMux(nearLink, mux), streams };
}

const open1 = encodeFrame(frameTypes.open, 1, encodeJson(null));
const credit = new Uint8Array(5);
writeU32(credit, 1, 1);

for (
  const [rule, frames] of [
    ["credit overrun", [open1, ...Array(9).fill(encodeFrame(2, 1, new Uint8Array(32768)))]],
    ["more credit than the window", [open1, encodeFrame(4, 1, credit)]],
    ["data after the end", [open1, encodeFrame(5, 1, Uint8Array.of(0)), encodeFrame(2, 1, credit)]],
    ["data of a stream never opened", [encodeFrame(2, 5, credit)]],
    ["an even number from the starter", [encodeFrame(1, 2, encodeJson(1))]],
    ["a number used again", [open1, open1]],
    ["CLOSE from the opening side", [open1, encodeFrame(7, 1, encodeJson(1))]],
    ["an unknown channel", [open1, encodeFrame(5, 1, Uint8Array.of(2))]],
    ["a short CREDIT", [open1, encodeFrame(4, 1, Uint8Array.of(0, 1))]],
    ["HELLO in a session", [encodeFrame(9, 0, encodeJson(1))]],
    ["JSON that is none", [encodeFrame(1, 1, Uint8Array.of(0x7b))]],
  ] as [string, Uint8Array[]][]
) {
  Deno.test(`a peer that breaks a rule ends the session: ${rule}`, async () => {
    const session = raw();
    for (const frame of frames) await session.link.write(frame);
    assert.equal((await session.over).reason, "protocol");
    assert.equal(session.mux.streamCount, 0);
  });
}

Deno.test("random frames end or continue a session, and never throw anything else", async () => {
  const frame = fc.tuple(
    fc.integer({ min: 0, max: 11 }),
    fc.integer({ min: 0, max: 6 }),
    fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.json().map((text) => encodeJson(text))),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { maxLength: 60 }), async (frames) => {
      const session = raw();
      for (const [type, stream, payload] of frames) {
        await session.link.write(encodeFrame(type, stream, payload)).catch(() => {});
      }
      session.link.close();
      assert.ok(await session.over instanceof LinkError);
      assert.equal(session.mux.streamCount, 0);
    }),
  );
});

Deno.test("a peer that floods requests and never reads is cut off", async () => {
  const session = raw(64 * 1024);
  const flood = (async () => {
    for (let id = 1; id < 400_000; id += 2) {
      await session.link.write(encodeFrame(1, id, encodeJson(null)));
    }
  })().catch(() => {});
  assert.equal((await session.over).reason, "protocol");
  await flood;
});
