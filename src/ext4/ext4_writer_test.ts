import assert from "node:assert/strict";
import { run } from "../process/run.ts";
import { bytesOf } from "./byte_string.ts";
import { Ext4Writer } from "./ext4_writer.ts";
import { ImageFile } from "./image_file.ts";
import { type Attributes, Inode, type Xattr } from "./inode.ts";

const made = { seconds: 1_600_000_000, nanoseconds: 5 };
const uuid = new Uint8Array(16).fill(7);

function attributes(mode: number, xattrs: readonly Xattr[] = []): Attributes {
  return { mode, uid: 70_000, gid: 3_000_000_000, mtime: made, xattrs };
}

function directory(children: Readonly<Record<string, Inode>>): Inode {
  const body = { type: "directory", children: new Map(Object.entries(children)) } as const;
  return new Inode(attributes(0o755), body);
}

/** Writes an image, lets e2fsck look at it, and gives it to `look` to ask debugfs. */
async function withImage(
  sizeBytes: number,
  build: (writer: Ext4Writer) => Inode,
  look: (debugfs: (request: string) => Promise<string>, path: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-ext4-" });
  try {
    const path = `${dir}/image`;
    {
      using file = ImageFile.create(path, sizeBytes);
      const writer = new Ext4Writer(file, { sizeBytes, uuid, made, label: "label" });
      await writer.finish(build(writer));
    }
    await run("e2fsck", ["-fn", path], { timeoutMs: 60_000 });
    await look(async (request) => {
      const { stdout } = await run("debugfs", ["-R", request, path], { timeoutMs: 30_000 });
      return new TextDecoder().decode(stdout);
    }, path);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const mib = 1024 ** 2;

for (
  const sizeBytes of [16 * mib, 30_000_001, 128 * mib, 129 * mib, 300_000_000, 2 ** 33, 2 ** 41]
) {
  Deno.test(`e2fsck finds no fault in an empty file system of ${sizeBytes} bytes`, async () => {
    await withImage(sizeBytes, () => directory({}), async (debugfs, path) => {
      assert.match(await debugfs("stat lost+found"), /Type: directory +Mode: +0700/);
      const { blocks } = await Deno.stat(path);
      assert.ok(blocks! * 512 < 34 * mib, `${blocks}`);
    });
  });
}

Deno.test("resize2fs can grow and shrink it", async () => {
  await withImage(1024 * mib, () => directory({}), async (_, path) => {
    await Deno.truncate(path, 20 * 1024 * mib);
    for (const size of ["20G", "300M"]) {
      await run("resize2fs", ["-f", path, size], { timeoutMs: 60_000 });
      await run("e2fsck", ["-fn", path], { timeoutMs: 60_000 });
    }
  });
});

Deno.test("inodes of every type have what they were given", async () => {
  const xattrs = [
    { name: "security.capability", value: new Uint8Array(20).fill(1) },
    { name: "user.long", value: new Uint8Array(1500).fill(0x61) },
    { name: "user.empty", value: new Uint8Array(0) },
  ];
  const device = (major: number, minor: number) =>
    new Inode(attributes(0o600), { type: "block", major, minor });
  const symlink = (length: number) =>
    new Inode(attributes(0o777), { type: "symlink", target: "t".repeat(length) });
  await withImage(64 * mib, (writer) => {
    const content = writer.contents.putAll(bytesOf("text"));
    const file = new Inode(attributes(0o4755, xattrs), { type: "file", content });
    return directory({
      ...{ file, again: file, old: device(8, 1), new: device(259, 70_000) },
      ...{ short: symlink(59), long: symlink(60), longest: symlink(4095) },
      fifo: new Inode(attributes(0o600), { type: "fifo" }),
      socket: new Inode(attributes(0o600), { type: "socket" }),
    });
  }, async (debugfs) => {
    const stat = await debugfs("stat file");
    assert.match(stat, /Type: regular +Mode: +04755/);
    assert.match(stat, /User: +70000 +Group: +-1294967296/);
    assert.match(stat, /Links: 2 /);
    assert.match(stat, /mtime: 0x5f5e1000:00000014/);
    assert.match(
      stat,
      /security\.capability \(20\) = 01 01[^]*user\.empty \(0\)[^]*user\.long \(1500\)/,
    );
    assert.equal(await debugfs("cat again"), "text");
    assert.match(await debugfs("stat old"), /block special[^]*major\/minor number: 08:01/);
    assert.match(await debugfs("stat new"), /block special[^]*major\/minor number: 259:70000/);
    assert.match(await debugfs("stat short"), /Fast link dest: "t{59}"/);
    assert.equal(await debugfs("cat long"), "t".repeat(60));
    assert.equal(await debugfs("cat longest"), "t".repeat(4095));
    assert.match(await debugfs("stat fifo"), /Type: FIFO/);
    assert.match(await debugfs("stat socket"), /Type: socket/);
  });
});

Deno.test("large directories are indexed, by two levels if need be, and every name is found", async () => {
  const counts = { one: 150, many: 20_000, deep: 12_000 };
  const empty = new Inode(attributes(0o644), { type: "file", content: { size: 0, extents: [] } });
  const names = (count: number, tail: string) =>
    Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`name-${index}${tail}`, empty]),
    );
  await withImage(512 * mib, () =>
    directory({
      one: directory(names(counts.one, "")),
      many: directory(names(counts.many, "")),
      deep: directory(names(counts.deep, "\xe9".repeat(230))),
    }), async (debugfs) => {
    assert.match(await debugfs("htree many"), /Indirect levels: 0/);
    assert.match(await debugfs("htree deep"), /Indirect levels: 1/);
    assert.equal((await debugfs("ls -p many")).trim().split("\n").length, counts.many + 2);
  });
});

Deno.test("a file of many extents has a tree of them", async () => {
  await withImage(128 * mib, (writer) => {
    const size = 60_000 * 4096;
    writer.contents.begin(size);
    for (let block = 0; block < 60_000; block += 20) {
      writer.contents.write(Uint8Array.of(block % 255 + 1), block * 4096);
    }
    const content = writer.contents.end();
    return directory({ holes: new Inode(attributes(0o644), { type: "file", content }) });
  }, async (debugfs) => {
    // Levels: root, nodes, leaves of 340 extents.
    assert.ok((await debugfs("extents holes")).includes(" 2/ 2 340/340 "));
    assert.match(await debugfs("stat holes"), /Size: 245760000/);
  });
});

Deno.test("a directory with more subdirectories than links can count has the count 1", async () => {
  await withImage(1024 * mib, () => {
    const subdirectories = Array.from(
      { length: 65_001 },
      (_, index) => [`d${index}`, directory({})],
    );
    return directory({ many: directory(Object.fromEntries(subdirectories)) });
  }, async (debugfs) => assert.match(await debugfs("stat many"), /Links: 1 /));
});
