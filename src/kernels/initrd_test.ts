import assert from "node:assert/strict";
import { BangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";
import { initScript, markerScript } from "./init_script.ts";
import { writeMarkerInitrd } from "./initrd.ts";

Deno.test("the scripts are right in the eyes of a POSIX shell", async () => {
  for (const script of [initScript, markerScript]) {
    await run("sh", ["-n"], { stdin: new TextEncoder().encode(script), timeoutMs: 5_000 });
  }
});

Deno.test("every program that a script calls is in the initrd", async () => {
  const directory = await Deno.makeTempDir({ prefix: "banger-initrd-test-" });
  try {
    const path = `${directory}/initrd.img`;
    await writeMarkerInitrd(path, await fakeStaticProgram(`${directory}/busybox`));
    const archive = new TextDecoder("latin1").decode(await Deno.readFile(path));
    const called = /\b(insmod|ln|mkdir|mount|mv|readlink|reboot|sleep|switch_root|uname|usleep)\b/g;
    for (const [name] of `${initScript}${markerScript}`.matchAll(called)) {
      assert.ok(archive.includes(`bin/${name}\0`), name);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a busybox that is missing, dynamic or no program is refused with the way to get one", async () => {
  for (const path of ["/nonexistent/busybox", "/bin/ls", "/etc/passwd"]) {
    await assert.rejects(() => writeMarkerInitrd("/nonexistent/out", path), (error) => {
      assert.ok(error instanceof BangerError);
      assert.equal(error.kind, "precondition");
      assert.match(error.hint ?? "", /busybox-static/);
      return true;
    });
  }
});

/** An ELF file without an interpreter. */
async function fakeStaticProgram(path: string): Promise<string> {
  const bytes = new Uint8Array(64);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  await Deno.writeFile(path, bytes);
  return path;
}
