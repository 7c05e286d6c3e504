import assert from "node:assert/strict";
import fc from "fast-check";
import type { VmId } from "../model/ids.ts";
import { vmOwner } from "./vm_owner.ts";

Deno.test("root's VMs get a user of their own in a free range, others run as the owner", () => {
  const hex = fc.string({
    unit: fc.constantFrom(..."0123456789abcdef"),
    minLength: 16,
    maxLength: 16,
  });
  fc.assert(fc.property(hex, (id) => {
    const owner = vmOwner(0, id as VmId);
    assert.ok(owner !== null && owner.uid === owner.gid);
    assert.ok(owner.uid >= 1_900_000_000 && owner.uid < 2 ** 31 - 1);
    assert.equal(vmOwner(1000, id as VmId), null);
  }));
});
