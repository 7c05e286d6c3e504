import assert from "node:assert/strict";
import fc from "fast-check";
import { moduleFixture } from "../../tests/support/deb_fixture.ts";
import { BangerError } from "../model/errors.ts";
import { readModuleInfo } from "./module_info.ts";

Deno.test("dependencies, soft dependencies and aliases are read", () => {
  const module = moduleFixture([
    "license=GPL",
    "depends=virtio,virtio-ring",
    "softdep=pre: crypto-md5 crc32 post: later",
    "softdep=post: only",
    "alias=acpi*:LNRO0005:*",
  ]);
  assert.deepEqual(readModuleInfo(module, "x.ko"), {
    depends: ["virtio", "virtio_ring"],
    softDepends: ["crypto_md5", "crc32"],
    softDependLines: ["pre: crypto-md5 crc32 post: later", "post: only"],
    aliases: ["acpi*:LNRO0005:*"],
  });
});

Deno.test("garbage and cut-off modules are refused by name, never a crash", () => {
  const whole = moduleFixture(["depends=a"]);
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.nat(whole.length - 1).map((end) => whole.slice(0, end)),
    fc.tuple(fc.nat(whole.length - 1), fc.nat(255)).map(([at, value]) => {
      const changed = whole.slice();
      changed[at] = value;
      return changed;
    }),
  );
  fc.assert(fc.property(bytes, (module) => {
    try {
      readModuleInfo(module, "x.ko");
    } catch (error) {
      assert.ok(error instanceof BangerError, String(error));
      assert.match(error.message, /"x\.ko"/);
    }
  }));
});
