import assert from "node:assert/strict";
import fc from "fast-check";
import { elfKernelFixture } from "../../tests/support/bundle_fixture.ts";
import { isBangerError } from "../model/errors.ts";
import { checkKernel, notAKernelCode } from "./check_kernel.ts";

async function problemOf(bytes: Uint8Array, arch: "x86_64" | "aarch64"): Promise<string | null> {
  const path = await Deno.makeTempFile({ prefix: "banger-test-" });
  try {
    await Deno.writeFile(path, bytes);
    await checkKernel(path, arch, "tiny", "vmlinux");
    return null;
  } catch (error) {
    assert.ok(isBangerError(error, "untrusted"), String(error));
    assert.equal(error.code, notAKernelCode);
    return error.message;
  } finally {
    await Deno.remove(path);
  }
}

function changed(change: (view: DataView) => void): Uint8Array {
  const file = elfKernelFixture();
  change(new DataView(file.buffer));
  return file;
}

Deno.test("an ELF program of the right processor is a kernel", async () => {
  assert.equal(await problemOf(elfKernelFixture(), "x86_64"), null);
});

Deno.test("an arm64 Image is a kernel, for arm64 only", async () => {
  const image = new Uint8Array(4096);
  image.set(new TextEncoder().encode("ARM\x64"), 56);
  assert.equal(await problemOf(image, "aarch64"), null);
  assert.match(await problemOf(image, "x86_64") ?? "", /not a 64-bit ELF/);
  assert.match(await problemOf(elfKernelFixture(), "aarch64") ?? "", /not an arm64 Image/);
});

Deno.test("what is not a kernel is refused with the rule", async () => {
  const text = new TextEncoder().encode("#!/bin/sh\necho I am a kernel\n".repeat(9));
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [new Uint8Array(0), /too short/],
    [elfKernelFixture().subarray(0, 63), /too short/],
    [text, /not a 64-bit ELF/],
    [changed((view) => view.setUint8(4, 1)), /not a 64-bit ELF/],
    [changed((view) => view.setUint16(16, 1, true)), /not a program/],
    [changed((view) => view.setUint16(18, 183, true)), /another processor/],
    [changed((view) => view.setUint16(54, 55, true)), /program headers are damaged/],
    [changed((view) => view.setUint16(56, 0, true)), /no segments/],
    [changed((view) => view.setUint16(56, 0xffff, true)), /too many/],
    [changed((view) => view.setBigUint64(32, 2n ** 64n - 1n, true)), /headers are cut off/],
    [changed((view) => view.setBigUint64(24, 5n, true)), /entry point is in no segment/],
    [changed((view) => view.setUint32(64, 6, true)), /entry point is in no segment/],
    [changed((view) => view.setBigUint64(96, 2n ** 40n, true)), /a segment is cut off/],
    [elfKernelFixture().subarray(0, 150), /a segment is cut off/],
  ];
  for (const [bytes, words] of cases) assert.match(await problemOf(bytes, "x86_64") ?? "", words);
});

Deno.test("whatever the file holds, it is a kernel or a refusal", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 64 }),
      fc.nat(120),
      async (noise, at) => {
        const file = elfKernelFixture();
        file.set(noise.subarray(0, file.length - at), at);
        await problemOf(file, "x86_64");
      },
    ),
    { numRuns: 200 },
  );
});
