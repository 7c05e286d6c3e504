import assert from "node:assert/strict";
import fc from "fast-check";
import { noise } from "../../tests/support/fake_registry.ts";
import { BangerError } from "../model/errors.ts";
import { memoryLinks } from "../wire/memory_link.ts";
import { Mux, runMux } from "../wire/mux.ts";
import type { MuxStream } from "../wire/mux_stream.ts";
import { serveBytes } from "./host/serve_bytes.ts";
import type { LocalBytes } from "./local_bytes.ts";
import { RemoteBytes } from "./remote_bytes.ts";

const { signal } = new AbortController();
const large = noise(3_000_001, 5);

/** Files in memory; `"broken"` fails, `"slow"` never comes. */
const files: LocalBytes = {
  size: (name) => Promise.resolve(name === "large" ? large.length : undefined),
  read: async function* (name, { offset, length }, stop) {
    if (name === "broken") throw new BangerError("precondition", "Cannot read it", { hint: "no" });
    if (name === "slow") {
      await new Promise((_, reject) => stop.addEventListener("abort", () => reject(stop.reason)));
    }
    const piece = large.slice(offset, offset + length);
    for (let at = 0; at < piece.length; at += 70_000) yield piece.subarray(at, at + 70_000);
  },
};

async function over(act: (remote: RemoteBytes) => Promise<void>, silenceMs = 20_000) {
  const [ours, theirs] = memoryLinks();
  const remote = new RemoteBytes(ours, { silenceMs });
  const served = serveBytes(theirs, files);
  try {
    await act(remote);
  } finally {
    ours.close();
    await Promise.all([remote.closed, served]);
  }
}

async function bytesOf(remote: RemoteBytes, name: string, offset: number, length: number) {
  const chunks = await Array.fromAsync(remote.read(name, { offset, length }, signal));
  return new Uint8Array(await new Blob(chunks.map((chunk) => chunk.slice())).arrayBuffer());
}

Deno.test("sizes and any range of bytes come as they are, several at once", async () => {
  await over(async (remote) => {
    assert.equal(await remote.size("large", signal), large.length);
    assert.equal(await remote.size("none", signal), undefined);
    assert.equal((await bytesOf(remote, "large", large.length, 10)).length, 0);
    const range = fc.tuple(fc.nat(large.length), fc.nat(200_000));
    await fc.assert(
      fc.asyncProperty(fc.array(range, { maxLength: 4 }), async (ranges) => {
        await Promise.all(ranges.map(async ([offset, length]) => {
          const got = await bytesOf(remote, "large", offset, length);
          assert.deepEqual(got, large.slice(offset, offset + length));
        }));
      }),
      { numRuns: 30 },
    );
  });
});

Deno.test("a reader that takes only the start does not hold up the next one", async () => {
  await over(async (remote) => {
    for await (
      const chunk of remote.read("large", { offset: 0, length: large.length }, signal)
    ) {
      assert.ok(chunk.length > 0);
      break;
    }
    assert.deepEqual(await bytesOf(remote, "large", 5, 2_900_000), large.slice(5, 2_900_005));
  });
});

Deno.test("what the files fail with is told; silence, an end and a cancel end a read", async () => {
  await over(async (remote) => {
    await assert.rejects(() => bytesOf(remote, "broken", 0, 1), (error) => {
      assert.ok(error instanceof BangerError);
      assert.deepEqual([error.kind, error.message, error.hint], [
        "precondition",
        "Cannot read it",
        "no",
      ]);
      return true;
    });
    await assert.rejects(() => bytesOf(remote, "slow", 0, 1), /its reader sends nothing/);
    const stop = new AbortController();
    const reading = remote.read("slow", { offset: 0, length: 1 }, stop.signal).next();
    stop.abort(new BangerError("cancelled", "Stopped"));
    await assert.rejects(() => reading, /Stopped/);
  }, 100);
  const [ours, theirs] = memoryLinks();
  const remote = new RemoteBytes(ours);
  const reading = remote.read("large", { offset: 0, length: 9 }, signal).next();
  theirs.close();
  await assert.rejects(() => reading, /the command that reads it ended/);
  await remote.closed;
  await assert.rejects(() => remote.size("large", signal), /the command that reads it ended/);
});

Deno.test("a client that answers with too much, or with nonsense, is refused", async () => {
  const answers: [(stream: MuxStream) => Promise<void> | void, RegExp][] = [
    [(stream) => stream.write(new Uint8Array(9)), /more of "x" than was asked for/],
    [(stream) => stream.close({ ok: true, size: -1 }), /a wrong shape/],
    [(stream) => stream.close("yes"), /a wrong shape/],
    [(stream) => stream.close({ ok: false, error: { kind: "odd" } }), /a wrong shape/],
  ];
  for (const [answer, message] of answers) {
    const [ours, theirs] = memoryLinks();
    const remote = new RemoteBytes(ours);
    const mux = new Mux(theirs, {
      side: "starter",
      onStream: (stream) => void Promise.resolve(answer(stream)).catch(() => {}),
    });
    const over = runMux(theirs, mux);
    await assert.rejects(
      () => Array.fromAsync(remote.read("x", { offset: 0, length: 8 }, signal)),
      message,
    );
    ours.close();
    await Promise.all([remote.closed, over]);
  }
});

Deno.test("a daemon that asks for something else gets an error, and nothing is opened", async () => {
  const asked: string[] = [];
  const [ours, theirs] = memoryLinks();
  const served = serveBytes(theirs, {
    size: (name) => (asked.push(name), Promise.resolve(1)),
    read: () => assert.fail("nothing is read"),
  });
  const mux = new Mux(ours, { side: "acceptor" });
  const over = runMux(ours, mux);
  for (const request of [{}, { method: "open", name: "x" }, { method: "size", name: 5 }, null]) {
    const end = await mux.open(request).ended;
    assert.ok(end.how === "closed");
    assert.equal((end.reply as { ok: boolean }).ok, false);
  }
  ours.close();
  await Promise.all([over, served]);
  assert.deepEqual(asked, []);
});
