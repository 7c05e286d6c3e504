import assert from "node:assert/strict";
import fc from "fast-check";
import { cpioArchive, type CpioEntry } from "./cpio.ts";

/** Reads a newc archive back, as the kernel does (init/initramfs.c). */
function readCpio(bytes: Uint8Array): { path: string; mode: number; content: Uint8Array }[] {
  const text = new TextDecoder("latin1").decode(bytes);
  const field = (at: number, index: number) =>
    Number.parseInt(text.slice(at + 6 + index * 8, at + 14 + index * 8), 16);
  const found = [];
  for (let at = 0;;) {
    assert.equal(text.slice(at, at + 6), "070701");
    const nameStart = at + 110;
    const nameEnd = nameStart + field(at, 11);
    const start = (nameEnd + 3) & ~3;
    const end = start + field(at, 6);
    const path = new TextDecoder().decode(bytes.subarray(nameStart, nameEnd - 1));
    if (path === "TRAILER!!!") return found;
    found.push({ path, mode: field(at, 1), content: bytes.subarray(start, end) });
    at = (end + 3) & ~3;
  }
}

Deno.test("an archive holds what was put in, aligned, in order", () => {
  const name = fc.stringMatching(/^[a-zä]{1,12}$/);
  fc.assert(fc.property(fc.array(fc.tuple(name, fc.uint8Array({ maxLength: 40 }))), (files) => {
    const entries: CpioEntry[] = [
      { type: "directory", path: "d" },
      ...files.map(([path, content]): CpioEntry => ({ type: "file", path: `d/${path}`, content })),
    ];
    const archive = cpioArchive(entries);
    assert.equal(archive.length % 4, 0);
    const [first, ...rest] = readCpio(archive);
    assert.equal(first?.mode, 0o040755);
    assert.deepEqual(
      rest.map(({ path, content }) => [path, new Uint8Array(content)]),
      files.map(([path, content]) => [`d/${path}`, content]),
    );
  }));
});

Deno.test("modes, links and devices are written as the kernel reads them", () => {
  const members = readCpio(cpioArchive([
    { type: "file", path: "init", mode: 0o755, content: new Uint8Array(1) },
    { type: "symlink", path: "sh", target: "init" },
    { type: "character", path: "console", major: 5, minor: 1 },
  ]));
  assert.deepEqual(members.map(({ mode }) => mode), [0o100755, 0o120777, 0o020600]);
  assert.equal(new TextDecoder().decode(members[1]?.content), "init");
});

Deno.test("paths that the kernel would misplace are refused", () => {
  const file = (path: string): CpioEntry => ({ type: "file", path, content: new Uint8Array(0) });
  for (const path of ["", "/a", "a/../b", "..", "a//b", "a\0b", "missing/a"]) {
    assert.throws(() => cpioArchive([file(path)]), TypeError, path);
  }
});
