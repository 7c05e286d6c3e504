import assert from "node:assert/strict";
import { rootDevice } from "./grow_root.ts";

Deno.test("the root's disk is the last one that is mounted there", () => {
  const rest = "proc /proc proc rw 0 0\n/dev/vdb /.banger ext4 ro 0 0\n";
  assert.equal(rootDevice(`/dev/vda / ext4 rw,noatime 0 0\n${rest}`), "vda");
  assert.equal(rootDevice(`rootfs / rootfs rw 0 0\n/dev/vda / ext4 rw 0 0\n${rest}`), "vda");
  for (const mounts of ["", rest, "overlay / overlay rw 0 0\n", "/dev/../x / ext4 rw 0 0\n"]) {
    assert.equal(rootDevice(mounts), undefined);
  }
});
