import assert from "node:assert/strict";
import fc from "fast-check";
import { isBangerError } from "../model/errors.ts";
import { elfNeeds } from "./elf.ts";

Deno.test("the running Deno's needs are read", async () => {
  const { interpreter, needed } = elfNeeds(await Deno.readFile(Deno.execPath()), "deno");
  assert.match(interpreter!, /ld-linux/);
  assert.ok(needed.includes("libc.so.6"));
});

Deno.test("damaged files are refused, whatever is damaged", async () => {
  const good = (await Deno.readFile("/bin/busybox")).slice(0, 4096);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: 600 }), fc.nat({ max: 255 })), { maxLength: 30 }),
      fc.nat({ max: 4096 }),
      (changes, length) => {
        const bytes = good.slice(0, length);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        try {
          elfNeeds(bytes, "x");
        } catch (error) {
          assert.ok(isBangerError(error, "untrusted"));
        }
      },
    ),
  );
});
