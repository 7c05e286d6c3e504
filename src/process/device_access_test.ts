import assert from "node:assert/strict";
import { accessAfterDrop, deviceAccess, groupName, ordinaryRefusal } from "./device_access.ts";

const kvm = { path: "/dev/kvm", mode: 0o660, gid: 104, groupName: "kvm" };

Deno.test("a VMM that gave up root gets the device's group only when the group is what opens it", () => {
  assert.deepEqual(accessAfterDrop(kvm), { state: "openable", group: 104 });
  assert.deepEqual(accessAfterDrop({ ...kvm, mode: 0o666 }), { state: "openable", group: null });
  assert.equal(accessAfterDrop({ ...kvm, mode: 0o640 }).state, "denied");
  assert.equal(accessAfterDrop({ ...kvm, mode: 0o664 }).state, "openable");
});

Deno.test("root's own group is never given away", () => {
  assert.equal(accessAfterDrop({ ...kvm, gid: 0, groupName: "root" }).state, "denied");
});

Deno.test("root is told what to do with the device, never to join a group", () => {
  const access = accessAfterDrop({ ...kvm, mode: 0o600, gid: 0, groupName: "root" });
  assert.ok(access.state === "denied");
  assert.equal(
    access.reason,
    "/dev/kvm has mode 0600 and group root: QEMU, which root starts as a user of its own, may not open it",
  );
  assert.match(access.hint ?? "", /chgrp kvm \/dev\/kvm && chmod 0660 \/dev\/kvm$/);
  assert.doesNotMatch(access.hint ?? "", /usermod/);
});

Deno.test("an ordinary user is told to join the group, and how to open the device to it when it is not", () => {
  const closed = ordinaryRefusal(kvm);
  assert.ok(closed.state === "denied");
  assert.equal(
    closed.hint,
    'Run: sudo usermod --append --groups kvm "$USER", then log in again',
  );
  const rootOnly = ordinaryRefusal({ ...kvm, mode: 0o600, gid: 0, groupName: "root" });
  assert.ok(rootOnly.state === "denied");
  assert.match(rootOnly.hint ?? "", /chmod 0660 \/dev\/kvm' && sudo usermod .*--groups kvm/);
});

Deno.test("a device that is not there is absent", async () => {
  const access = await deviceAccess("/dev/no-such-device", 1000);
  assert.deepEqual(access, {
    state: "absent",
    reason: "there is no /dev/no-such-device",
    hint: null,
  });
});

Deno.test("groups are named by group(5)", () => {
  assert.equal(groupName("root:x:0:\nkvm:x:104:ann,bob\n", 104), "kvm");
  assert.equal(groupName("root:x:0:\n", 104), "104");
});
