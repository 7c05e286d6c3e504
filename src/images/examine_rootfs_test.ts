import assert from "node:assert/strict";
import fc from "fast-check";
import { BangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";
import { examineRootfs } from "./examine_rootfs.ts";
import { headBytes, rootfsProblem } from "./rootfs_problem.ts";

async function withDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-test-" });
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function mkfs(path: string, size: string, ...options: string[]): Promise<void> {
  await run("mkfs.ext4", ["-q", "-F", ...options, path, size], { timeoutMs: 20_000 });
}

async function refused(path: string, kind: string, words: RegExp): Promise<void> {
  await assert.rejects(() => examineRootfs(path), (error) => {
    assert.ok(error instanceof BangerError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, words);
    return true;
  });
}

Deno.test("ext4, ext3 and ext2 of any block size are root disks, through links too", async () => {
  await withDir(async (dir) => {
    const made: string[][] = [[], ["-b", "1024"], ["-t", "ext2"], ["-t", "ext3"], ["-O", "64bit"]];
    for (const [at, options] of made.entries()) {
      const path = `${dir}/${at}`;
      await mkfs(path, "8M", ...options);
      await Deno.symlink(path, `${path}.link`);
      const file = await examineRootfs(`${path}.link`);
      assert.equal(file.path, await Deno.realPath(path));
      assert.equal(file.bytes, 8 * 1024 ** 2);
      assert.ok(file.diskBytes > 0 && file.diskBytes < file.bytes);
      assert.ok(Math.abs(file.modifiedMs - Date.now()) < 60_000);
    }
  });
});

Deno.test("what is no root disk is refused, with what it is", async () => {
  await withDir(async (dir) => {
    const file = `${dir}/file`;
    const head = (at: number, text: string) => {
      const bytes = new Uint8Array(4096);
      bytes.set([...text].map((letter) => letter.charCodeAt(0)), at);
      return bytes;
    };
    const cases: [Uint8Array, RegExp][] = [
      [new Uint8Array(0), /it has no ext4 file system/],
      [new Uint8Array(1080), /it has no ext4 file system/],
      [new TextEncoder().encode("root:x:0:0\n"), /it has no ext4 file system/],
      [head(0, "QFI\xfb"), /it is a qcow2 image/],
      [head(510, "\x55\xaa"), /it is a whole disk with partitions/],
      [head(512, "EFI PART"), /it is a whole disk with partitions/],
      [head(257, "ustar"), /it is a tar archive/],
      [head(0, "\x1f\x8b"), /it is compressed/],
      [head(1024 + 0x38, "\x53\xef"), /the superblock of its ext4 file system is damaged/],
    ];
    for (const [bytes, words] of cases) {
      await Deno.writeFile(file, bytes);
      await refused(file, "invalid", words);
    }
    await mkfs(`${dir}/cut`, "8M");
    await Deno.truncate(`${dir}/cut`, 8 * 1024 ** 2 - 1);
    await refused(`${dir}/cut`, "invalid", /it is cut off: its file system has 8388608 bytes/);
    await run("mkfs.ext4", ["-q", "-F", "-O", "journal_dev", `${dir}/journal`, "8M"]);
    await refused(`${dir}/journal`, "invalid", /it is the journal of a file system/);
    await refused(`${dir}/none`, "not_found", /there is no such file/);
    await refused(`${dir}/cut/none`, "not_found", /there is no such file/);
    await refused(dir, "invalid", /it is no regular file/);
    await refused("/dev/null", "invalid", /it is no regular file/);
    await run("mkfifo", [`${dir}/fifo`]);
    await refused(`${dir}/fifo`, "invalid", /it is no regular file/);
  });
});

Deno.test("whatever a file starts with, it is a root disk or it is not", async () => {
  await withDir(async (dir) => {
    await mkfs(`${dir}/good`, "8M");
    const good = (await Deno.readFile(`${dir}/good`)).subarray(0, headBytes);
    assert.equal(rootfsProblem(good, 8 * 1024 ** 2), undefined);
    const damage = fc.array(fc.tuple(fc.nat(headBytes - 1), fc.nat(255)), { maxLength: 30 });
    fc.assert(
      fc.property(damage, fc.nat(headBytes), fc.nat(2 ** 40), (changes, length, fileBytes) => {
        const head = good.slice(0, length);
        for (const [at, value] of changes) if (at < length) head[at] = value;
        const problem = rootfsProblem(head, fileBytes);
        assert.ok(problem === undefined || problem.state.length > 0);
        if (length < headBytes) assert.ok(problem !== undefined);
      }),
      { numRuns: 2000 },
    );
  });
});
