import assert from "node:assert/strict";
import { handOverFifo } from "../src/wire/messages.ts";
import { guestContext } from "./context.ts";
import { exists, writeText } from "./files.ts";
import { handOver, withHeadStart } from "./hand_over.ts";

/** A guest whose pipe is a file: an empty one when nothing was handed over. */
async function inRoot(body: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  // The agent's sleep does not keep a process alive; there its link does.
  const alive = setInterval(() => {}, 1000);
  try {
    writeText(`${root}${handOverFifo}`, "");
    await body(root);
  } finally {
    clearInterval(alive);
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("the image's init starts soon, but behind a command that is being started", () =>
  inRoot(async (root) => {
    const context = { ...guestContext(), root };
    const told = async () => (await Deno.readTextFile(`${root}${handOverFifo}`)) !== "";
    const handedOver = handOver(context);
    assert.equal(withHeadStart(context, () => 7), 7);
    assert.throws(() => withHeadStart(context, () => assert.fail("it cannot be started")));
    assert.equal(context.headStarts, 2);
    assert.equal(await told(), false);
    await handedOver;
    assert.equal(await told(), true);
    assert.equal(context.headStarts, 0);
  }));

Deno.test("a command that never gets started does not hold the image's init up", () =>
  inRoot(async (root) => {
    const context = { ...guestContext(), root, headStarts: 1 };
    await handOver(context);
    assert.ok(exists(`${root}${handOverFifo}`));
    assert.notEqual(await Deno.readTextFile(`${root}${handOverFifo}`), "");
  }));
