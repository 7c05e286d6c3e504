import assert from "node:assert/strict";
import type { WorkSeed } from "../model/artefacts.ts";
import { isBangerError } from "../model/errors.ts";
import type { StepContext } from "../services/vm/contract.ts";
import { emptyFacts } from "../services/vm/start.ts";
import { workDisks, workDiskStep } from "./work_disk.ts";

const step = workDiskStep({ now: () => 1_700_000_000_000, randomHex: (n) => "ab".repeat(n) });
const sizeBytes = 64 * 1024 ** 2;

/** What the step is given for a VM with a work disk of so many bytes, in a directory of its own. */
async function withVm(
  workDiskBytes: number,
  body: (context: (isNew: boolean) => StepContext, path: string) => Promise<void>,
  workSeed: WorkSeed | null = null,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-work-disk-" });
  const workDisk = `${dir}/work.ext4`;
  try {
    await body((isNew) => ({
      vm: { config: { name: "web", workDiskBytes } },
      paths: { workDisk },
      bootSet: { image: { workSeed } },
      isNew,
      facts: emptyFacts(),
      signal: new AbortController().signal,
    } as unknown as StepContext), workDisk);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a work disk is made when its VM is, and attached by its serial at each start", () =>
  withVm(sizeBytes, async (context, path) => {
    await step.prepare!(context(true));
    const { ino } = await Deno.stat(path);
    const again = context(false);
    await step.prepare!(again);
    await step.start!(again);
    assert.equal((await Deno.stat(path)).ino, ino);
    assert.deepEqual(again.facts.disks, [
      { serial: "banger-work", path, format: "raw", readOnly: false, backingPath: null },
    ]);
  }));

Deno.test("one that is missing later is not made again in silence", () =>
  withVm(sizeBytes, async (context, path) => {
    await assert.rejects(
      async () => await step.prepare!(context(false)),
      (error: unknown) =>
        isBangerError(error) && error.kind === "precondition" && error.message.includes(path),
    );
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  }));

Deno.test("a work disk of a seed is a copy of its own, as large as was asked for", async () => {
  const path = await Deno.makeTempFile({ prefix: "banger-seed-" });
  try {
    await Deno.writeTextFile(path, "seed");
    await Deno.chmod(path, 0o444);
    const seed = { digest: "sha256:0", path, virtualBytes: 4 };
    await withVm(sizeBytes, async (context, copy) => {
      await step.prepare!(context(true));
      const { size, mode } = await Deno.stat(copy);
      assert.deepEqual([size, mode! & 0o777], [sizeBytes, 0o600]);
      assert.equal((await Deno.readTextFile(copy)).slice(0, 4), "seed");
      assert.equal(await Deno.readTextFile(path), "seed");
    }, seed);
    await Deno.remove(path);
    await withVm(sizeBytes, async (context, copy) => {
      const gone = /seed ".*" of its image cannot be read/;
      await assert.rejects(async () => await step.prepare!(context(true)), gone);
      await assert.rejects(Deno.stat(copy), Deno.errors.NotFound);
    }, seed);
  } finally {
    await Deno.remove(path).catch(() => {});
  }
});

Deno.test("a VM without a work disk gets no file and no disk", () =>
  withVm(0, async (context, path) => {
    const given = context(true);
    await step.prepare!(given);
    await step.start!(given);
    assert.deepEqual(given.facts.disks, []);
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  }));

Deno.test("a work disk that no row knows goes when it was never used, and else stays whatever is asked", () =>
  withVm(0, async (context, path) => {
    const { paths } = context(false);
    const disks = workDisks({ now: () => 1_700_000_000_000, randomHex: (n) => "ab".repeat(n) });
    await disks.drop(paths);
    assert.equal(await disks.isLeft(paths), false);
    await Deno.writeTextFile(`${path}.new`, "half");
    assert.equal(await disks.isLeft(paths), true);
    await disks.make(paths, sizeBytes);
    assert.equal(await disks.isLeft(paths), true);
    await disks.drop(paths);
    assert.equal(await disks.isLeft(paths), false);
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);

    await disks.make(paths, sizeBytes);
    // As a guest's kernel does when it mounts it.
    const file = await Deno.open(path, { write: true });
    await file.seek(1024 + 0x2c, Deno.SeekMode.Start);
    await file.write(Uint8Array.of(1, 0, 0, 0));
    file.close();
    const used = await Deno.readFile(path);
    for (const content of [used, new Uint8Array(4096), new Uint8Array(0)]) {
      await Deno.writeFile(path, content);
      assert.equal(await disks.isLeft(paths), false);
      await disks.drop(paths);
      await assert.rejects(
        disks.make(paths, sizeBytes),
        (error: unknown) => isBangerError(error, "conflict") && /mv '/.test(error.hint ?? ""),
      );
      assert.deepEqual(await Deno.readFile(path), content);
    }
  }));
