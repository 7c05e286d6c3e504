import assert from "node:assert/strict";
import { isBangerError } from "../../model/errors.ts";
import { growOverlay } from "./grow_overlay.ts";

const never = new AbortController().signal;

/** A file with a qcow2 header of which only what is checked is there. */
async function withHeader(change: (view: DataView) => void, body: (path: string) => Promise<void>) {
  const path = await Deno.makeTempFile();
  try {
    const bytes = new Uint8Array(104);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 0x514649fb);
    view.setUint32(4, 3);
    change(view);
    await Deno.writeFile(path, bytes);
    await body(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("an overlay that names a file for its data, or is none, is not touched", async () => {
  const changes: ((view: DataView) => void)[] = [
    (view) => view.setBigUint64(72, 4n),
    (view) => view.setBigUint64(72, 1n << 40n),
    (view) => view.setUint32(4, 2),
    (view) => view.setUint32(0, 0),
  ];
  for (const change of changes) {
    await withHeader(change, async (path) => {
      const before = await Deno.readFile(path);
      await assert.rejects(
        growOverlay(path, 1024 ** 3, never),
        (error) => isBangerError(error, "untrusted"),
      );
      assert.deepEqual(await Deno.readFile(path), before);
    });
  }
});
