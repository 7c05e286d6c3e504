import assert from "node:assert/strict";
import fc from "fast-check";
import type { LaneLink } from "../../../vmm/contract.ts";
import { type LaneChannel, type LaneControl, laneControl } from "../../../wire/lane.ts";
import { LinkError } from "../../../wire/link.ts";
import { memoryLinks } from "../../../wire/memory_link.ts";
import { Mux, runMux } from "../../../wire/mux.ts";
import type { MuxStream } from "../../../wire/mux_stream.ts";
import { Lanes } from "./lanes.ts";
import { relayExec } from "./relay_exec.ts";

const total = 4 * 1024 * 1024;

/** What the guest of a test does with the exec that comes over `stream`. */
type Guest = (stream: FakeGuest) => Promise<void>;

/** A client, the relay, and a guest that follows the protocol as far as its test wants. */
class Chain implements AsyncDisposable {
  readonly client: Mux;
  readonly lanes: Lanes;
  readonly #daemon: Mux;
  readonly #session: Mux;
  readonly #over: Promise<unknown>[];
  /** The guest's ends of the lanes, by number. */
  readonly ports = new Map<number, LaneLink>();

  constructor(guest: Guest, laneCount = 3) {
    const [near, far] = memoryLinks();
    const [host, agent] = memoryLinks();
    this.lanes = new Lanes({
      count: laneCount,
      open: (lane) => {
        const [link, port] = memoryLinks();
        this.ports.set(lane, port);
        return Promise.resolve(link);
      },
      monotonicMs: () => 0,
      randomHex: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)).toHex(),
    });
    this.client = new Mux(near, { side: "starter" });
    this.#session = new Mux(host, { side: "starter" });
    const served = new Mux(agent, {
      side: "acceptor",
      onStream: (stream) =>
        this.#over.push(
          guest(new FakeGuest(stream, this.ports)).catch((error) => {
            if (!(error instanceof LinkError)) throw error;
          }),
        ),
    });
    this.#daemon = new Mux(far, {
      side: "acceptor",
      onStream: (accepted) => {
        const opened = this.#session.open(accepted.request);
        this.#over.push(relayExec(accepted, opened, this.lanes));
      },
    });
    this.#over = [
      runMux(near, this.client),
      runMux(far, this.#daemon),
      runMux(host, this.#session),
      runMux(agent, served),
    ];
  }

  open(): MuxStream {
    return this.client.open({ method: "exec" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const over = new LinkError("ended", "test is over");
    this.client.end(over);
    this.#session.end(over);
    for (let done = 0; done < this.#over.length; done++) await this.#over[done];
  }
}

/** The guest's side of one exec. */
class FakeGuest {
  readonly controls: LaneControl[] = [];
  readonly others: unknown[] = [];
  #wakeups: (() => void)[] = [];

  constructor(readonly stream: MuxStream, readonly ports: Map<number, LaneLink>) {
    stream.onControl = (message) => {
      const control = laneControl(message);
      if (control === null) this.others.push(message);
      else this.controls.push(control);
      this.#wake();
    };
    stream.ended.then(() => this.#wake());
  }

  #wake(): void {
    for (const wakeup of this.#wakeups.splice(0)) wakeup();
  }

  async told<C extends LaneControl["control"]>(
    control: C,
    channel: LaneChannel,
  ): Promise<Extract<LaneControl, { control: C }>> {
    for (;;) {
      const index = this.controls.findIndex((it) =>
        it.control === control && it.channel === channel
      );
      if (index !== -1) {
        return this.controls.splice(index, 1)[0] as Extract<LaneControl, { control: C }>;
      }
      if (this.stream.isEnded) throw new LinkError("ended", "the stream has ended");
      await new Promise<void>((resolve) => this.#wakeups.push(resolve));
    }
  }

  /** Offers a channel and joins its lane; `null` when there is none. */
  async join(channel: LaneChannel, stale = new Uint8Array(0)): Promise<LaneLink | null> {
    this.stream.control({ control: "lane_offer", channel });
    const { lane, nonce } = await this.told("lane_answer", channel);
    if (lane === null) return null;
    const port = this.ports.get(lane)!;
    if (stale.length > 0) await port.write(stale);
    await port.write(new TextEncoder().encode(`${nonce}\n`));
    const line = new TextEncoder().encode(`\n${nonce}\n`);
    const buffer = new Uint8Array(line.length);
    for (let got = 0; got < line.length;) got += (await port.read(buffer.subarray(got)))!;
    assert.deepEqual(buffer, line);
    this.stream.control({ control: "lane_outcome", channel, outcome: "joined" });
    return port;
  }

  /** Sends `bytes`, from `at` on over a lane. */
  async output(name: "stdout" | "stderr", bytes: Uint8Array, at: number): Promise<void> {
    const channel = name === "stdout" ? 0 : 1;
    if (at > 0) await this.stream.write(bytes.subarray(0, at), channel);
    const port = await this.join(name, new Uint8Array([1, 2, 3]));
    if (port === null) {
      await this.stream.write(bytes.subarray(at), channel);
      this.stream.end(channel);
      return;
    }
    this.stream.end(channel);
    for (let sent = at; sent < bytes.length; sent += 50_000) {
      await port.write(bytes.subarray(sent, sent + 50_000));
    }
    this.stream.control({ control: "lane_end", channel: name, bytes: bytes.length - at });
  }

  /** Takes stdin to its end and counts what came over the link and over the lane. */
  async input(offerAfter: number): Promise<{ bytes: Uint8Array; overLane: number | null }> {
    const parts: Uint8Array[] = [];
    let got = 0;
    let joining: Promise<LaneLink | null> | undefined;
    for (let b = await this.stream.read(); b !== null; b = await this.stream.read()) {
      parts.push(b);
      got += b.length;
      if (got >= offerAfter) joining ??= this.join("stdin");
    }
    const port = await joining ?? null;
    let overLane: number | null = null;
    if (port !== null) {
      overLane = 0;
      const buffer = new Uint8Array(70_000);
      for (let n = await port.read(buffer); n !== null; n = await port.read(buffer)) {
        parts.push(buffer.slice(0, n));
        overLane += n;
      }
      assert.equal((await this.told("lane_end", "stdin")).bytes, overLane);
      this.stream.control({ control: "lane_end", channel: "stdin", bytes: overLane });
    }
    return { bytes: joined(parts), overLane };
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
}

async function readAll(stream: MuxStream, channel: 0 | 1): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let b = await stream.read(channel); b !== null; b = await stream.read(channel)) {
    parts.push(b);
  }
  return joined(parts);
}

function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + (at >> 8) * 7 + seed) & 0xff;
  return bytes;
}

async function free(lanes: Lanes): Promise<number[]> {
  const leases = [];
  for (let lease = await lanes.lease(); lease !== null; lease = await lanes.lease()) {
    leases.push(lease);
  }
  for (const lease of leases) lease.release();
  return leases.map(({ lane }) => lane).toSorted();
}

Deno.test("bytes, ends, controls and the reply pass through, on whatever way", async () => {
  const sizes = fc.record({
    stdin: fc.nat(600_000),
    stdout: fc.nat(600_000),
    stderr: fc.nat(600_000),
    offerIn: fc.nat(700_000),
    offerOut: fc.nat(600_000),
    offerErr: fc.nat(600_000),
    lanes: fc.nat(3),
    pieces: fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 5 }),
  });
  await fc.assert(
    fc.asyncProperty(sizes, async (s) => {
      const [input, out, err] = [pattern(s.stdin, 1), pattern(s.stdout, 2), pattern(s.stderr, 3)];
      let taken: Uint8Array | undefined;
      await using chain = new Chain(async (guest) => {
        const [{ bytes }] = await Promise.all([
          guest.input(s.offerIn),
          guest.output("stdout", out, Math.min(s.offerOut, out.length)),
          guest.output("stderr", err, Math.min(s.offerErr, err.length)),
        ]);
        taken = bytes;
        assert.deepEqual(guest.others, [{ control: "signal", signal: "INT" }]);
        guest.stream.close({ code: 7 });
      }, s.lanes);
      const stream = chain.open();
      stream.control({ control: "signal", signal: "INT" });
      const sending = (async () => {
        for (let at = 0, turn = 0; at < input.length; turn++) {
          const size = s.pieces[turn % s.pieces.length]!;
          await stream.write(input.subarray(at, at + size));
          at += size;
        }
        stream.end();
      })();
      const [gotOut, gotErr] = await Promise.all([readAll(stream, 0), readAll(stream, 1), sending]);
      assert.deepEqual(await stream.ended, { how: "closed", reply: { code: 7 } });
      assert.ok(sameBytes(gotOut, out) && sameBytes(gotErr, err) && sameBytes(taken!, input));
      assert.equal((await free(chain.lanes)).length, s.lanes);
    }),
    { numRuns: 40 },
  );
});

/** Whether both hold the same bytes; `deepEqual` is slow for many. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

Deno.test("a client cannot speak the guest's part of lanes", async () => {
  await using chain = new Chain(async (guest) => {
    await guest.stream.read();
    guest.stream.close([guest.controls, guest.others]);
  });
  const stream = chain.open();
  stream.control({ control: "lane_answer", channel: "stdout", lane: 1, nonce: "a".repeat(64) });
  stream.control("anything else");
  stream.end();
  assert.deepEqual(await stream.ended, { how: "closed", reply: [[], ["anything else"]] });
});

Deno.test("a program that takes no more input: the client's rest is thrown away", async () => {
  const allSent = Promise.withResolvers<void>();
  await using chain = new Chain(async (guest) => {
    let got = 0;
    while (got < 100_000) got += (await guest.stream.read())!.length;
    const port = await guest.join("stdin");
    while (await guest.stream.read() !== null);
    await port!.read(new Uint8Array(10_000));
    guest.stream.control({ control: "lane_end", channel: "stdin", bytes: 10_000 });
    assert.equal(await port!.read(new Uint8Array(10_000)).then(drained(port!)), null);
    await allSent.promise;
    guest.stream.close("done");
  });
  const stream = chain.open();
  // More than all buffers on the way hold.
  for (let sent = 0; sent < total; sent += 65536) await stream.write(new Uint8Array(65536));
  stream.end();
  allSent.resolve();
  assert.deepEqual(await stream.ended, { how: "closed", reply: "done" });
  assert.deepEqual(await free(chain.lanes), [0, 1, 2]);
});

/** Reads on until the end. */
function drained(port: LaneLink): (count: number | null) => Promise<null> {
  return async (count) => {
    for (let n = count; n !== null;) n = await port.read(new Uint8Array(65536));
    return null;
  };
}

Deno.test("a client that goes away frees the lanes and ends the command", async () => {
  const ends: unknown[] = [];
  await using chain = new Chain(async (guest) => {
    guest.stream.ended.then((end) => ends.push(end));
    await guest.output("stdout", new Uint8Array(total), 1000);
  });
  const stream = chain.open();
  let got = 0;
  while (got < 200_000) got += (await stream.read())!.length;
  assert.equal((await free(chain.lanes)).length, 2);
  stream.reset("client gone");
  for (let look = 0; look < 100 && ends.length === 0; look++) await tick();
  assert.deepEqual(ends, [{ how: "reset", reason: "client gone" }]);
  assert.deepEqual(await free(chain.lanes), [0, 1, 2]);
});

function tick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

for (
  const [what, lie] of [
    ["fewer bytes than it sent", { control: "lane_end", channel: "stdout", bytes: 999 }],
    ["an end, and never sends the rest", null],
    ["nothing at all before its reply", undefined],
  ] as const
) {
  Deno.test(`a guest that tells ${what} ends its own command, and frees the lane`, async () => {
    await using chain = new Chain(async (guest) => {
      const port = (await guest.join("stdout"))!;
      guest.stream.end(0);
      await port.write(new Uint8Array(1000));
      if (lie === null) {
        guest.stream.control({ control: "lane_end", channel: "stdout", bytes: 2000 });
        port.close();
      } else if (lie !== undefined) {
        await tick();
        guest.stream.control(lie);
      }
      guest.stream.close("all is well");
    });
    const stream = chain.open();
    await readAll(stream, 0).catch(() => {});
    assert.deepEqual(await stream.ended, {
      how: "reset",
      reason: "a lane of the command broke, and bytes were lost",
    });
    assert.ok((await free(chain.lanes)).length >= 2);
  });
}

Deno.test("a guest that says it has joined without the nonce loses its command, not the daemon's lanes", async () => {
  await using chain = new Chain(async (guest) => {
    guest.stream.control({ control: "lane_offer", channel: "stdout" });
    const { lane } = await guest.told("lane_answer", "stdout");
    guest.stream.control({ control: "lane_outcome", channel: "stdout", outcome: "joined" });
    guest.stream.end(0);
    chain.ports.get(lane!)!.close();
  });
  const stream = chain.open();
  await readAll(stream, 0).catch(() => {});
  assert.equal((await stream.ended).how, "reset");
  // The one that was not joined rests.
  assert.deepEqual(await free(chain.lanes), [1, 2]);
});

Deno.test("offers without end cost one lane, and outcomes without an offer nothing", async () => {
  await using chain: Chain = new Chain(async (guest) => {
    const { stream } = guest;
    stream.control({ control: "lane_outcome", channel: "stderr", outcome: "joined" });
    stream.control({ control: "lane_end", channel: "stderr", bytes: 5 });
    for (let turn = 0; turn < 100; turn++) {
      stream.control({ control: "lane_offer", channel: "stdout" });
    }
    await guest.told("lane_answer", "stdout");
    for (let turn = 0; turn < 20; turn++) await tick();
    assert.deepEqual(guest.controls, []);
    assert.deepEqual(await free(chain.lanes), [1, 2]);
    stream.control({ control: "lane_outcome", channel: "stdout", outcome: "cancelled" });
    await stream.write(new Uint8Array(10));
    stream.end(0);
    stream.end(1);
    stream.close("done");
  });
  const stream = chain.open();
  assert.equal((await readAll(stream, 0)).length, 10);
  assert.deepEqual(await stream.ended, { how: "closed", reply: "done" });
  assert.deepEqual(await free(chain.lanes), [0, 1, 2]);
});
