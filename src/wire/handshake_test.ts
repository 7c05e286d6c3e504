import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeFrame } from "./frame.ts";
import { acceptSessions, commonVersion, startSession } from "./handshake.ts";
import { encodeJson } from "./json.ts";
import type { ByteLink } from "./link.ts";
import { memoryLinks } from "./memory_link.ts";
import type { MuxStream } from "./mux_stream.ts";

const nonceOf = (digit: string) => digit.repeat(32);

function serve(link: ByteLink): Promise<void> {
  return acceptSessions(link, {
    welcome: ({ nonce, versions }) => ({
      magic: "banger-link",
      nonce,
      version: commonVersion(versions),
    }),
    onStream: (stream) => stream.close(stream.request),
  });
}

function start(link: ByteLink, nonce: string, fresh = false, waitMs = 2000) {
  return startSession(link, { nonce, fresh, signal: AbortSignal.timeout(waitMs) });
}

/** The host's end of a serial port: one attachment after the other, nothing tells the guest. */
function serialPort(host: ByteLink): () => ByteLink {
  let current = 0;
  let pending: Promise<number | null> | null = null;
  const held = new Uint8Array(64 * 1024);
  let waiting: Uint8Array | null = null;
  return () => {
    const mine = ++current;
    const closed = Promise.withResolvers<null>();
    return {
      async read(buffer) {
        if (waiting === null) {
          pending ??= host.read(held);
          const count = await Promise.race([pending, closed.promise]);
          if (count === null || mine !== current) return null;
          pending = null;
          waiting = held.slice(0, count);
        }
        const bytes = waiting.subarray(0, buffer.length);
        waiting = waiting.length > bytes.length ? waiting.slice(bytes.length) : null;
        buffer.set(bytes);
        return bytes.length;
      },
      write: (bytes) => host.write(bytes),
      close: () => closed.resolve(null),
    };
  };
}

Deno.test("a session starts behind any stale bytes in both directions", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 400 }),
      fc.uint8Array({ maxLength: 400 }),
      fc.boolean(),
      async (toGuest, toHost, staleWelcome) => {
        const [host, guest] = memoryLinks(1 << 20);
        await host.write(toGuest);
        await guest.write(toHost);
        if (staleWelcome) {
          const old = { magic: "banger-link", nonce: nonceOf("b"), version: 1 };
          await guest.write(encodeFrame(10, 0, encodeJson(old)));
        }
        const serving = serve(guest);
        const { mux, welcome } = await start(host, nonceOf("a"));
        assert.deepEqual(welcome, { magic: "banger-link", nonce: nonceOf("a"), version: 3 });
        const stream = mux.open({ x: 1 });
        assert.deepEqual(await stream.ended, { how: "closed", reply: { x: 1 } });
        host.close();
        await serving;
        await mux.closed;
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("a second session replaces the first, also in the middle of a frame", async () => {
  const [host, guest] = memoryLinks(1 << 20);
  const streams: MuxStream[] = [];
  const serving = acceptSessions(guest, {
    welcome: (hello) => ({ magic: "banger-link", nonce: hello.nonce }),
    onStream: (stream) => streams.push(stream),
  });
  const attach = serialPort(host);
  const first = attach();
  const one = await start(first, nonceOf("1"), true);
  one.mux.open("stays open");
  await new Promise((resolve) => setTimeout(resolve, 5));
  await host.write(encodeFrame(1, 3, new Uint8Array(60_000).fill(32)).subarray(0, 1000));
  first.close();
  const two = await start(attach(), nonceOf("2"));
  assert.equal((await streams[0]!.ended).how, "reset");
  const stream = two.mux.open("again");
  await new Promise((resolve) => setTimeout(resolve, 5));
  streams[1]!.close("yes");
  assert.deepEqual(await stream.ended, { how: "closed", reply: "yes" });
  host.close();
  await Promise.all([serving, two.mux.closed, one.mux.closed]);
});

Deno.test("the accepting side survives a broken rule and takes the next session", async () => {
  const [host, guest] = memoryLinks(1 << 20);
  const serving = serve(guest);
  const attach = serialPort(host);
  const first = attach();
  const one = await start(first, nonceOf("1"), true);
  await host.write(encodeFrame(99, 1, new Uint8Array(10)));
  assert.match((await one.mux.closed).message, /unknown frame type 99/);
  const two = await start(attach(), nonceOf("2"));
  assert.deepEqual(await two.mux.open("still here").ended, { how: "closed", reply: "still here" });
  host.close();
  await Promise.all([serving, two.mux.closed]);
});

Deno.test("no answer: the wait ends with the signal's reason", async () => {
  const [host, guest] = memoryLinks();
  await assert.rejects(start(host, nonceOf("1"), true, 20), { name: "TimeoutError" });
  guest.close();
});

Deno.test("the highest common version is taken", () => {
  assert.equal(commonVersion({ lowest: 1, highest: 1 }), 1);
  assert.equal(commonVersion({ lowest: 1, highest: 9 }), 3);
  assert.equal(commonVersion({ lowest: 4, highest: 9 }), 0);
});
