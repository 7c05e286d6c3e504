import assert from "node:assert/strict";
import { run } from "../process/run.ts";
import { memberHeaders } from "./tar_headers.ts";

const gib = 1024 ** 3;

/** What tar makes of headers without content: the listing, although it misses the rest. */
async function listed(headers: Uint8Array): Promise<string> {
  const { stdout } = await run("tar", ["-tv", "--utc", "--numeric-owner"], {
    stdin: headers,
    okCodes: [2],
  });
  return new TextDecoder().decode(stdout).trim().replace(/\s+/g, " ");
}

Deno.test("tar understands the headers, also of members of 8 GiB and more", async () => {
  const cases = [
    [{ name: "vmlinux", storedSize: 1234, sparseSize: null }, 1234],
    [{ name: "work-seed.tar", storedSize: 8 * gib, sparseSize: null }, 8 * gib],
    [{ name: "work-seed.tar", storedSize: 8 * gib - 1, sparseSize: null }, 8 * gib - 1],
  ] as const;
  for (const [content, size] of cases) {
    const line = `-rw-r--r-- 0/0 ${size} 1970-01-01 00:00 ${content.name}`;
    assert.equal(await listed(memberHeaders(content)), line);
  }
});

Deno.test("headers are whole blocks, and those of large sparse members hold both sizes", () => {
  const headers = memberHeaders({
    name: "rootfs.ext4",
    storedSize: 9 * gib,
    sparseSize: 1024 * gib,
  });
  assert.equal(headers.length, 1536);
  const text = new TextDecoder().decode(headers.subarray(512, 1024)).replace(/\0+$/, "");
  for (const line of text.trimEnd().split("\n")) {
    assert.equal(Number(line.split(" ")[0]), line.length + 1, line);
  }
  assert.match(text, / GNU\.sparse\.realsize=1099511627776\n/);
  assert.match(text, / size=9663676416\n/);
});
