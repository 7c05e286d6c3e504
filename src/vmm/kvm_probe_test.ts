import assert from "node:assert/strict";
import { newId, type VmId } from "../model/ids.ts";
import type { Machine, MachineSpec, Vmm } from "./contract.ts";
import { kvmMarker, type KvmProbeSpec, probeKvm } from "./kvm_probe.ts";

const never = new AbortController().signal;

/** A VMM whose machine prints `console` at once, and ends then unless it hangs. */
function vmmThatPrints(console: string, hangs = false) {
  const launched: MachineSpec[] = [];
  const launch = (spec: MachineSpec): Promise<Machine> => {
    launched.push(spec);
    const end = Promise.withResolvers<unknown>();
    if (!hangs) end.resolve({ code: 0, signal: null, stderr: "" });
    return Promise.resolve({
      ended: end.promise,
      readConsole: () => Promise.resolve(new TextEncoder().encode(console)),
      kill: () => Promise.resolve(end.resolve(null)),
    } as unknown as Machine);
  };
  return { launched, vmm: { kind: "qemu", launch } as unknown as Vmm };
}

async function withSpec(body: (spec: KvmProbeSpec) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-probe-" });
  try {
    await body({
      key: { bootId: "boot", kernelDigest: "sha256:1", vmmVersion: "8" },
      cachePath: `${dir}/kvm_probe.json`,
      machine: { vmId: newId<VmId>(), commandLine: [] } as unknown as KvmProbeSpec["machine"],
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("KVM is usable when the kernel gets to the marker, and that is remembered", () =>
  withSpec(async (spec) => {
    const { vmm, launched } = vmmThatPrints(`Linux\n${kvmMarker}\nreboot\n`);
    assert.equal((await probeKvm(vmm, spec, never)).usable, true);
    assert.equal((await probeKvm(vmm, spec, never)).usable, true);
    assert.equal(launched.length, 1);
    assert.equal(launched[0]?.accelerator, "kvm");
    const other = { ...spec, key: { ...spec.key, bootId: "another boot" } };
    await probeKvm(vmm, other, never);
    assert.equal(launched.length, 2);
    // Two kernels in turn: each is tried out once.
    const key = { ...other.key, kernelDigest: "sha256:2" };
    for (const each of [{ ...spec, key }, other, { ...spec, key }]) {
      await probeKvm(vmm, each, never);
    }
    assert.equal(launched.length, 3);
  }));

Deno.test("a kernel that ends too early is quoted, without what could harm a terminal", () =>
  withSpec(async (spec) => {
    const { vmm } = vmmThatPrints("Linux\nKernel panic \x1b]52;c;x\x07!\n");
    const { usable, reason } = await probeKvm(vmm, spec, never);
    assert.equal(usable, false);
    assert.equal(
      reason,
      'the kernel ends before it reaches user space ("Kernel panic ]52;c;x!")',
    );
  }));

Deno.test("a kernel that prints nothing for 3 s hangs", () =>
  withSpec(async (spec) => {
    const { vmm } = vmmThatPrints("", true);
    const begun = performance.now();
    const { usable, reason } = await probeKvm(vmm, spec, never);
    assert.equal(usable, false);
    assert.equal(reason, "the kernel does not start with it within 3 s");
    assert.ok(performance.now() - begun < 6_000);
  }));

Deno.test("a trial can be cancelled, and says nothing then", () =>
  withSpec(async (spec) => {
    const { vmm } = vmmThatPrints("", true);
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 20);
    await assert.rejects(probeKvm(vmm, spec, stop.signal), /cancelled/);
    await assert.rejects(Deno.stat(spec.cachePath), Deno.errors.NotFound);
  }));
