import assert from "node:assert/strict";
import { frameOf, guest } from "../../../tests/support/frame_fixture.ts";
import { FrameRules } from "./frame_rules.ts";
import { FrameSieve } from "./frame_sieve.ts";
import { type FrameSocket, relay } from "./relay.ts";

/** A socket made up: what it reads is given, what it is written is kept, a little at a time. */
class Socket implements FrameSocket {
  readonly written: number[] = [];
  closed = false;
  /** Whoever writes waits for this. */
  gate = Promise.resolve();
  readonly #pieces: Uint8Array[];
  readonly #end = Promise.withResolvers<void>();
  reads = 0;

  constructor(...pieces: Uint8Array[]) {
    this.#pieces = pieces;
  }

  async read(into: Uint8Array): Promise<number | null> {
    this.reads++;
    const piece = this.#pieces.shift();
    if (piece === undefined) {
      await this.#end.promise;
      return null;
    }
    into.set(piece);
    return piece.length;
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.gate;
    if (this.closed) throw new Deno.errors.BrokenPipe();
    const part = bytes.subarray(0, 7);
    this.written.push(...part);
    return part.length;
  }

  close(): void {
    this.closed = true;
    this.#end.resolve();
  }

  /** The other process hangs up. */
  hangUp(): void {
    this.#end.resolve();
  }
}

const newSieve = () => new FrameSieve(new FrameRules(guest), () => {});
const turns = () => new Promise((resolve) => setTimeout(resolve, 5));

function record(frame: Uint8Array): Uint8Array {
  return Uint8Array.from([0, 0, 0, frame.length, ...frame]);
}

const [allowed, forbidden] = [record(frameOf({})), record(frameOf({ to: "127.0.0.1" }))];

Deno.test("frames cross in both directions, the forbidden do not, and a hang-up ends both", async () => {
  const half = allowed.length / 2;
  const qemu = new Socket(allowed.subarray(0, half), allowed.subarray(half), forbidden, allowed);
  const passt = new Socket(forbidden, allowed);
  const done = relay(qemu, passt, newSieve());
  await turns();
  assert.deepEqual(passt.written, [...allowed, ...allowed]);
  assert.deepEqual(qemu.written, [...forbidden, ...allowed]);
  qemu.hangUp();
  await done;
  assert.ok(qemu.closed && passt.closed);
});

Deno.test("nothing more is read from a side while the other takes nothing", async () => {
  const qemu = new Socket(allowed, allowed, allowed);
  const passt = new Socket();
  const open = Promise.withResolvers<void>();
  passt.gate = open.promise;
  const done = relay(qemu, passt, newSieve());
  await turns();
  assert.equal(qemu.reads, 1);
  open.resolve();
  await turns();
  assert.deepEqual(passt.written, [...allowed, ...allowed, ...allowed]);
  passt.hangUp();
  await done;
});

Deno.test("a side that is gone when it is written to ends the relay in order", async () => {
  const qemu = new Socket(allowed);
  const passt = new Socket();
  passt.closed = true;
  await relay(qemu, passt, newSieve());
  assert.ok(qemu.closed);
});

Deno.test("an impossible length closes both and is reported", async () => {
  for (const bad of ["qemu", "passt"]) {
    const [broken, other] = [new Socket(Uint8Array.of(255, 0, 0, 0)), new Socket()];
    const [qemu, passt] = bad === "qemu" ? [broken, other] : [other, broken];
    await assert.rejects(relay(qemu, passt, newSieve()), RangeError);
    assert.ok(qemu.closed && passt.closed);
  }
});
