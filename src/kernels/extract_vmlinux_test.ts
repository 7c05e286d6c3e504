import assert from "node:assert/strict";
import fc from "fast-check";
import { BangerError } from "../model/errors.ts";
import { bzImageFixture, bzImageOf, plainKernelFixture } from "../../tests/support/deb_fixture.ts";
import { run } from "../process/run.ts";
import { extractVmlinux } from "./extract_vmlinux.ts";

Deno.test("the payload of a bzImage is unpacked, whatever it is packed with", async () => {
  assert.deepEqual(await extractVmlinux(bzImageFixture(plainKernelFixture)), plainKernelFixture);
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, plainKernelFixture.length, true);
  const { stdout } = await run("xz", ["-c"], { stdin: plainKernelFixture });
  const image = bzImageOf(Uint8Array.of(...stdout, ...size));
  assert.deepEqual(await extractVmlinux(image), plainKernelFixture);
});

Deno.test("an arm64 Image is taken as it is", async () => {
  const image = new Uint8Array(100);
  image.set(new TextEncoder().encode("ARMd"), 56);
  assert.equal(await extractVmlinux(image), image);
});

Deno.test("what is no kernel, or holds none, is refused", async () => {
  const noElf = bzImageFixture(new TextEncoder().encode("#!/bin/sh, not a kernel"));
  const cut = bzImageFixture(plainKernelFixture).subarray(0, -1);
  for (const image of [new Uint8Array(0), new Uint8Array(4096), noElf, cut]) {
    await assert.rejects(
      () => extractVmlinux(image),
      (error) => error instanceof BangerError && error.kind === "untrusted",
    );
  }
});

Deno.test("garbage behind a valid header ends with a refusal", async () => {
  const payload = fc.uint8Array({ minLength: 16, maxLength: 64 })
    .filter((bytes) => bytes[0] !== 0x1f && bytes[0] !== 0xfd && bytes[0] !== 0x28);
  await fc.assert(fc.asyncProperty(payload, async (bytes) => {
    await assert.rejects(() => extractVmlinux(bzImageOf(bytes)), BangerError);
  }));
});
