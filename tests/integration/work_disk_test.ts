/** Work disks on a host's disk that is full. */
import assert from "node:assert/strict";
import { copyWorkSeed, makeWorkDisk } from "../../src/images/work_disk.ts";
import { isBangerError } from "../../src/model/errors.ts";
import { run } from "../../src/process/run.ts";
import { skipUnless } from "../support/require.ts";

const name = "a work disk that has no room is told, and nothing is left of it";
Deno.test({
  name,
  ignore: skipUnless(name, Deno.uid() === 0, "mounting a small disk needs root"),
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "banger-work-disk-" });
    const seed = await Deno.makeTempFile({ prefix: "banger-work-seed-" });
    await run("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", dir]);
    try {
      const disk = { path: `${dir}/work.ext4`, sizeBytes: 1024 ** 3 };
      await Deno.writeFile(seed, crypto.getRandomValues(new Uint8Array(60_000)));
      using file = await Deno.open(seed, { write: true });
      await file.seek(1024 ** 2, Deno.SeekMode.Start);
      for (let turn = 0; turn < 10; turn++) {
        await file.write(crypto.getRandomValues(new Uint8Array(60_000)));
      }
      const never = new AbortController().signal;
      for (
        const make of [
          () => makeWorkDisk({ ...disk, uuid: "ab".repeat(16), nowMs: 0 }),
          () => copyWorkSeed(seed, disk, never),
        ]
      ) {
        await assert.rejects(make(), (error) => {
          assert.ok(isBangerError(error, "exhausted"), `${error}`);
          assert.match(error.message, /the disk (is full|filled up)$/);
          return true;
        });
        assert.deepEqual(await Array.fromAsync(Deno.readDir(dir)), []);
      }
    } finally {
      await run("umount", [dir]);
      await Deno.remove(dir);
      await Deno.remove(seed);
    }
  },
});
