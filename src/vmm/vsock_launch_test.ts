import assert from "node:assert/strict";
import { BangerError } from "../model/errors.ts";
import type { VmId } from "../model/ids.ts";
import type { Machine, MachineSpec, Vmm } from "./contract.ts";
import { VsockCids } from "./vsock_cids.ts";
import { launchWithVsock } from "./vsock_launch.ts";

const vmId = "0000000500000000" as VmId;
const spec = { vmId } as Omit<MachineSpec, "vsockCid">;
const machine = {} as Machine;
const never = new AbortController().signal;

const taken = "qemu: -device {…}: vhost-vsock: unable to set guest cid: Address already in use";
const denied = "qemu: -device {…}: vhost-vsock: failed to open vhost device: Permission denied";

/** A VMM that refuses with these words, one a launch, and then starts; and the ids it was given. */
function vmmThatRefuses(...words: readonly string[]) {
  const given: (number | null)[] = [];
  const launch = ({ vsockCid }: MachineSpec): Promise<Machine> => {
    const detail = words[given.length];
    given.push(vsockCid);
    if (detail === undefined) return Promise.resolve(machine);
    return Promise.reject(new BangerError("internal", "Cannot start QEMU", { detail }));
  };
  return { given, vmm: { kind: "qemu", launch } as unknown as Vmm };
}

Deno.test("a VM has its context id where the host has vsock, and none elsewhere", async () => {
  const { vmm, given } = vmmThatRefuses();
  await launchWithVsock(vmm, spec, new VsockCids(), never);
  await launchWithVsock(vmm, spec, null, never);
  assert.deepEqual(given, [8, null]);
});

Deno.test("an id that another program has is replaced, and after some the VM goes without", async () => {
  const once = vmmThatRefuses(taken);
  assert.equal(await launchWithVsock(once.vmm, spec, new VsockCids(), never), machine);
  assert.deepEqual(once.given, [8, 9]);
  const always = vmmThatRefuses(taken, taken, taken);
  assert.equal(await launchWithVsock(always.vmm, spec, new VsockCids(), never), machine);
  assert.deepEqual(always.given, [8, 9, 10, null]);
});

Deno.test("a VMM that may not use vsock starts without, and holds no id", async () => {
  const { vmm, given } = vmmThatRefuses(denied);
  const cids = new VsockCids();
  await launchWithVsock(vmm, spec, cids, never);
  assert.deepEqual(given, [8, null]);
  assert.equal(cids.take("0000000511111111" as VmId), 8);
});

Deno.test("other failures stay what they are, and free the id", async () => {
  const { vmm, given } = vmmThatRefuses("qemu: no room for the memory");
  const cids = new VsockCids();
  await assert.rejects(launchWithVsock(vmm, spec, cids, never), /Cannot start QEMU/);
  assert.deepEqual(given, [8]);
  assert.equal(cids.take("0000000511111111" as VmId), 8);
});
