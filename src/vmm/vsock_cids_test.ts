import assert from "node:assert/strict";
import fc from "fast-check";
import { newId, type VmId } from "../model/ids.ts";
import { preferredCid, VsockCids } from "./vsock_cids.ts";

const vm = (digits: string) => digits.padEnd(16, "0") as VmId;

Deno.test("a context id follows from the VM, and is never one of the reserved ones", () => {
  assert.equal(preferredCid(vm("00000000")), 3);
  assert.equal(preferredCid(vm("00000001")), 4);
  assert.equal(preferredCid(vm("7ffffffd")), 3);
  fc.assert(fc.property(fc.nat({ max: 0xffffffff }), (start) => {
    const cid = preferredCid(vm(start.toString(16).padStart(8, "0")));
    assert.ok(Number.isInteger(cid) && cid >= 3 && cid < 2 ** 31);
  }));
});

Deno.test("two VMs never have the same one, and a stopped VM's is free again", () => {
  const cids = new VsockCids();
  const [a, b, c] = [vm("00000005"), vm("000000051"), vm("00000006")];
  assert.equal(cids.take(a), 8);
  assert.equal(cids.take(a), 8);
  assert.equal(cids.take(b), 9, "the next one");
  assert.equal(cids.take(c), 10, "taken by the one before");
  cids.release(a);
  cids.release(newId<VmId>());
  assert.equal(cids.take(vm("00000005ff")), 8);
});

Deno.test("a running VM that is taken over keeps its own", () => {
  const cids = new VsockCids();
  cids.adopt(vm("1"), 8);
  assert.equal(cids.take(vm("1")), 8);
  assert.equal(cids.take(vm("00000005")), 9);
});

Deno.test("one that another program has is not offered again, and wraps at the end", () => {
  const cids = new VsockCids();
  const last = vm("7ffffffc");
  assert.equal(cids.take(last), 2 ** 31 - 1);
  assert.equal(cids.replace(last), 3);
  cids.release(last);
  assert.equal(cids.take(last), 3);
});
