import assert from "node:assert/strict";
import { waitForFile } from "../src/wire/messages.ts";
import { guestContext } from "./context.ts";
import { writeText } from "./files.ts";
import { imageIsReady } from "./image_ready.ts";

async function inRoot(body: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  // The agent's sleep does not keep a process alive; there its link does.
  const alive = setInterval(() => {}, 1000);
  try {
    await body(root);
  } finally {
    clearInterval(alive);
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("commands wait for what the image names, once", () =>
  inRoot(async (root) => {
    const context = { ...guestContext(), root };
    writeText(`${root}${waitForFile}`, "/run/service.sock\n");
    let isReady = false;
    const waiting = imageIsReady(context).then(() => isReady = true);
    await new Promise((resolve) => setTimeout(resolve, 250));
    assert.equal(isReady, false);
    writeText(`${root}/run/service.sock`, "");
    await waiting;
    await Deno.remove(`${root}/run/service.sock`);
    await imageIsReady(context);
  }));

Deno.test("an image that names nothing, or no path, keeps nobody waiting", () =>
  inRoot(async (root) => {
    for (const text of [undefined, "", "\n", "relative\n", "/a\0b"]) {
      if (text !== undefined) writeText(`${root}${waitForFile}`, text);
      const startMs = performance.now();
      await imageIsReady({ ...guestContext(), root });
      assert.ok(performance.now() - startMs < 100);
    }
  }));
