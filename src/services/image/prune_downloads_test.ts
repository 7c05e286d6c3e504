import assert from "node:assert/strict";
import { pruneDownloads } from "./prune_downloads.ts";

Deno.test("the oldest downloads go until the rest fits, but none that may be under way", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const nowMs = 1_700_000_000_000;
    for (const [name, ageHours] of [["new", 0], ["old", 2], ["older", 3], ["oldest", 4]] as const) {
      await Deno.writeFile(`${dir}/${name}`, new Uint8Array(100));
      const written = new Date(nowMs - ageHours * 3_600_000);
      await Deno.utime(`${dir}/${name}`, written, written);
    }
    const left = async () =>
      (await Array.fromAsync(Deno.readDir(dir))).map((entry) => entry.name).sort();
    await pruneDownloads(dir, 250, nowMs);
    assert.deepEqual(await left(), ["new", "old"]);
    await pruneDownloads(dir, 0, nowMs);
    assert.deepEqual(await left(), ["new"]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
