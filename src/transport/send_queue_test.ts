import assert from "node:assert/strict";
import type { ByteLink } from "./byte_link.ts";
import { SendQueue } from "./send_queue.ts";

/** A link whose writes end when the test says so. */
class SlowLink implements ByteLink {
  readonly writes: { readonly text: string; readonly end: PromiseWithResolvers<void> }[] = [];

  write(bytes: Uint8Array): Promise<void> {
    const end = Promise.withResolvers<void>();
    this.writes.push({ text: new TextDecoder().decode(bytes), end });
    return end.promise;
  }

  read(): Promise<null> {
    return Promise.resolve(null);
  }

  close(): void {}
}

const tick = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

Deno.test("what waits is counted, joined into one write, and flushed", async () => {
  const link = new SlowLink();
  const queue = new SendQueue(link, () => assert.fail());
  assert.equal(queue.queuedBytes, 0);
  await queue.flushed();
  for (const n of [1, 2, 3]) queue.send({ n });
  queue.sendParts("[", new TextEncoder().encode('"ü"'), "]");
  assert.deepEqual(link.writes.map(({ text }) => text), ['{"n":1}\n']);
  assert.equal(queue.queuedBytes, 3 * 8 + 7);
  let flushed = 0;
  const waits = [queue.flushed(), queue.flushed()].map((wait) => wait.then(() => flushed++));
  link.writes[0]?.end.resolve();
  await tick();
  assert.equal(link.writes[1]?.text, '{"n":2}\n{"n":3}\n["ü"]\n');
  assert.equal(queue.queuedBytes, 2 * 8 + 7);
  assert.equal(flushed, 0);
  link.writes[1].end.resolve();
  await Promise.all(waits);
  assert.equal(queue.queuedBytes, 0);
  queue.send({ n: 4 });
  assert.equal(link.writes[2]?.text, '{"n":4}\n');
});

Deno.test("a failed write ends the queue: nothing waits any more, nothing is sent any more", async () => {
  const link = new SlowLink();
  const failures: unknown[] = [];
  const queue = new SendQueue(link, (error) => failures.push(error));
  queue.send(1);
  queue.send(2);
  const flushed = queue.flushed();
  link.writes[0]?.end.reject(new Deno.errors.BrokenPipe("gone"));
  await flushed;
  assert.equal(failures.length, 1);
  assert.equal(queue.queuedBytes, 0);
  queue.send(3);
  await queue.flushed();
  assert.equal(link.writes.length, 1);
});
