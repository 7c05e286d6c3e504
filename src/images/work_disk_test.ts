import assert from "node:assert/strict";
import { isBangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";
import { growWorkDisk, makeWorkDisk } from "./work_disk.ts";

const mib = 1024 ** 2;
const uuid = "0123456789abcdef".repeat(2);
const nowMs = 1_700_000_000_000;

async function inTempDir(body: (path: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-work-disk-" });
  try {
    await body(`${dir}/work.ext4`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

for (const sizeBytes of [64 * mib, 8 * 1024 * mib, 8 * 1024 ** 4]) {
  Deno.test(`a new work disk of ${sizeBytes} bytes is whole, sparse, and says how far its file system goes`, () =>
    inTempDir(async (path) => {
      await makeWorkDisk({ path, sizeBytes, uuid, nowMs });
      await run("e2fsck", ["-fn", path], { timeoutMs: 60_000 });
      const { stdout } = await run("debugfs", ["-R", "cat /sectors", path], { timeoutMs: 30_000 });
      const made = Math.min(sizeBytes, 64 * 1024 * mib);
      assert.equal(new TextDecoder().decode(stdout), `${made / 512}\n`);
      const { size, blocks, mode } = await Deno.stat(path);
      assert.equal(size, sizeBytes);
      assert.equal(mode! & 0o777, 0o600);
      assert.ok(blocks! * 512 < 4 * mib, `${blocks}`);
    }));
}

Deno.test("a work disk replaces one that no row speaks of, and grows", () =>
  inTempDir(async (path) => {
    await Deno.writeTextFile(path, "of an earlier try");
    await Deno.writeTextFile(`${path}.new`, "half of one");
    await makeWorkDisk({ path, sizeBytes: 64 * mib, uuid, nowMs });
    await growWorkDisk(path, 65 * mib);
    assert.equal((await Deno.stat(path)).size, 65 * mib);
    // A set that was cut short and is asked for again.
    await growWorkDisk(path, 64 * mib);
    assert.equal((await Deno.stat(path)).size, 65 * mib);
    await run("e2fsck", ["-fn", path], { timeoutMs: 60_000 });
    await Deno.remove(path);
    await assert.rejects(
      growWorkDisk(path, 70 * mib),
      (error: unknown) => isBangerError(error) && error.kind === "precondition",
    );
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  }));

Deno.test("a size that no file system has leaves nothing", () =>
  inTempDir(async (path) => {
    await assert.rejects(makeWorkDisk({ path, sizeBytes: mib, uuid, nowMs }), /16 MiB to 16 TiB/);
    await assert.rejects(Deno.stat(`${path}.new`), Deno.errors.NotFound);
  }));
