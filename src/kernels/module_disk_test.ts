import assert from "node:assert/strict";
import fc from "fast-check";
import { run } from "../process/run.ts";
import { ModuleDisk } from "./module_disk.ts";

const features = ["^has_journal,^resize_inode", "^has_journal,^64bit,^metadata_csum,^dir_index"];

/** Runs `body` with a directory of files and a disk made of it. */
async function withDisk(
  files: Readonly<Record<string, Uint8Array>>,
  mkfs: readonly string[],
  mib: number,
  body: (path: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-module-disk-" });
  try {
    for (const [path, bytes] of Object.entries(files)) {
      const at = `${dir}/tree/${path}`;
      await Deno.mkdir(at.slice(0, at.lastIndexOf("/")), { recursive: true });
      await Deno.writeFile(at, bytes);
    }
    await Deno.symlink("/etc/passwd", `${dir}/tree/kernel/link.ko`);
    const path = `${dir}/modules.ext4`;
    await run("mkfs.ext4", ["-q", "-F", ...mkfs, "-d", `${dir}/tree`, path, `${mib}M`], {
      timeoutMs: 60_000,
    });
    await body(path);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function bytesOf(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + seed + (index >> 8)) & 0xff);
}

Deno.test("every file comes back as it was, in large directories and small blocks, too", async () => {
  const files: Record<string, Uint8Array> = {
    "modules.builtin": bytesOf(10, 1),
    "kernel/empty.ko": new Uint8Array(0),
    "kernel/a/b/c/deep.ko": bytesOf(70_000, 2),
    "kernel/large.ko": bytesOf(3_000_000, 3),
    // Much of it is a hole.
    "kernel/holes.ko": Object.assign(new Uint8Array(2_000_000), { 0: 7, 1_999_999: 9 }),
  };
  for (let n = 0; n < 700; n++) {
    files[`kernel/many/module-with-a-long-name-${n}.ko`] = bytesOf(n % 50, n);
  }
  for (const feature of features) {
    for (const blockBytes of ["1024", "4096"]) {
      await withDisk(files, [`-b${blockBytes}`, "-I256", `-O${feature}`], 24, async (path) => {
        using disk = await ModuleDisk.open(path);
        const listed = await Array.fromAsync(disk.list("kernel"));
        const expected = Object.keys(files).filter((each) => each.startsWith("kernel/"));
        assert.deepEqual(listed.sort(), expected.sort());
        for (const [name, bytes] of Object.entries(files)) {
          assert.deepEqual(Buffer.from(await disk.read(name)), Buffer.from(bytes), name);
        }
        await assert.rejects(disk.read("kernel/none.ko"), /there is no "kernel\/none.ko"/);
        await assert.rejects(disk.read("kernel/a"), /"kernel\/a" is no file/);
      });
    }
  }
});

Deno.test("what is no such file system is refused", async () => {
  const dir = await Deno.makeTempDir({ prefix: "banger-module-disk-" });
  try {
    for (const bytes of [0, 100, 5_000]) {
      await Deno.writeFile(`${dir}/x`, new Uint8Array(bytes));
      await assert.rejects(ModuleDisk.open(`${dir}/x`), TypeError);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a damaged disk is read or refused, in bounded time", async () => {
  const files = { "modules.builtin": bytesOf(5000, 1), "kernel/a/x.ko": bytesOf(50_000, 2) };
  await withDisk(files, ["-b1024", `-O${features[0]}`], 2, async (path) => {
    const good = await Deno.readFile(path);
    const used = [...good.keys()].filter((at) => good[at] !== 0);
    const spots = fc.array(fc.tuple(fc.nat(used.length - 1), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(spots, async (changes) => {
        const bytes = good.slice();
        for (const [spot, value] of changes) bytes[used[spot]!] = value;
        await Deno.writeFile(path, bytes);
        try {
          using disk = await ModuleDisk.open(path);
          for await (const name of disk.list("kernel")) await disk.read(name);
          await disk.read("modules.builtin");
        } catch (error) {
          assert.ok(error instanceof TypeError, String(error));
        }
      }),
      { numRuns: 150 },
    );
  });
});
