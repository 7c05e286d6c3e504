import assert from "node:assert/strict";
import * as fc from "fast-check";
import * as v from "valibot";
import { type VmOverview, vmOverview, type VmView, vmView } from "../../api/vm.ts";
import type { VmId } from "../../model/ids.ts";
import { type VmRecord, type VmState, vmStates } from "../../model/vm.ts";
import type { Serialised } from "../../transport/serialised.ts";
import { VmListing } from "./listing.ts";

const kib = 1024;

/** Rows and disks to change at will, and a clock. */
class Fixture {
  readonly dir = Deno.makeTempDirSync();
  readonly vms = new Map<VmId, VmRecord>();
  readonly changes: VmId[] = [];
  /** Changes before this one are no longer known. */
  forgotten = 0;
  nowMs = 0;
  /** How often all rows were read, and single ones. */
  reads = 0;
  finds = 0;
  readonly listing = this.fresh();

  fresh(): VmListing {
    return new VmListing({
      store: this,
      disks: (id) => ({ overlay: `${this.dir}/${id}`, workDisk: `${this.dir}/${id}.work` }),
      monotonicMs: () => this.nowMs,
    });
  }

  get revision(): number {
    return this.changes.length;
  }

  changedSince(revision: number): ReadonlySet<VmId> | undefined {
    return revision < this.forgotten ? undefined : new Set(this.changes.slice(revision));
  }

  find(id: VmId): VmRecord | undefined {
    this.finds++;
    return this.vms.get(id);
  }

  each(): Iterable<VmRecord> {
    this.reads++;
    return [...this.vms.values()].sort((a, b) =>
      a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1)
    );
  }

  put(name: string, state: VmState, change: Partial<VmRecord> = {}): void {
    this.vms.set(name as VmId, { ...vmRecord(name, state), ...change });
    this.changes.push(name as VmId);
  }

  delete(name: string): void {
    this.vms.delete(name as VmId);
    this.changes.push(name as VmId);
  }

  fillDisk(name: string, bytes: number): void {
    Deno.writeFileSync(`${this.dir}/${name}`, new Uint8Array(bytes).fill(1));
  }

  used(): Record<string, number> {
    const { vms } = parsed(this.listing.views());
    return Object.fromEntries(vms.map((vm) => [vm.name, vm.diskUsedBytes]));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.dir, { recursive: true });
  }
}

function parsed<T>(answer: Serialised<T>): T {
  return JSON.parse(new TextDecoder().decode(answer.bytes)) as T;
}

Deno.test("the list is made once while no row changes", () => {
  using fixture = new Fixture();
  fixture.put("a", "stopped");
  fixture.put("b", "failed");
  const first = fixture.listing.views();
  const overview = fixture.listing.overview();
  fixture.nowMs += 100_000;
  assert.equal(fixture.listing.views(), first);
  assert.equal(fixture.listing.overview(), overview);
  assert.equal(fixture.reads, 1);
  fixture.put("c", "created");
  assert.deepEqual(Object.keys(fixture.used()), ["a", "b", "c"]);
  fixture.delete("a");
  assert.deepEqual(Object.keys(fixture.used()), ["b", "c"]);
});

Deno.test("after a change only that row is read and only that disk measured", () => {
  using fixture = new Fixture();
  for (const name of ["a", "b", "c"]) fixture.put(name, "stopped");
  fixture.used();
  for (const name of ["a", "b", "c"]) fixture.fillDisk(name, 64 * kib);
  fixture.put("b", "failed");
  assert.deepEqual(fixture.used(), { a: 0, b: 64 * kib, c: 0 });
  assert.deepEqual({ reads: fixture.reads, finds: fixture.finds }, { reads: 1, finds: 1 });
});

Deno.test("all rows are read again when nobody knows what changed", () => {
  using fixture = new Fixture();
  fixture.put("a", "stopped");
  fixture.used();
  fixture.put("b", "stopped");
  fixture.delete("a");
  fixture.forgotten = 2;
  assert.deepEqual(Object.keys(fixture.used()), ["b"]);
  assert.deepEqual({ reads: fixture.reads, finds: fixture.finds }, { reads: 2, finds: 0 });
});

Deno.test("a disk that is written to is measured again after a second", () => {
  using fixture = new Fixture();
  fixture.put("runs", "running");
  fixture.put("rests", "stopped");
  assert.deepEqual(fixture.used(), { rests: 0, runs: 0 });
  const overview = fixture.listing.overview();
  fixture.fillDisk("runs", 64 * kib);
  fixture.fillDisk("rests", 64 * kib);
  fixture.nowMs += 999;
  assert.deepEqual(fixture.used(), { rests: 0, runs: 0 });
  fixture.nowMs += 1;
  assert.deepEqual(fixture.used(), { rests: 0, runs: 64 * kib });
  const same = fixture.listing.views();
  fixture.nowMs += 1000;
  assert.equal(fixture.listing.views(), same, "nothing has changed");
  assert.equal(fixture.listing.overview(), overview, "it tells nothing of disks' use");
});

Deno.test("work disks are measured as well, of VMs that have one, without their rows being read", () => {
  using fixture = new Fixture();
  const { config } = vmRecord("runs", "running");
  fixture.put("runs", "running", { config: { ...config, workDiskBytes: 1 << 30 } });
  fixture.put("without", "running");
  const used = () => parsed(fixture.listing.views()).vms.map((vm) => vm.workDiskUsedBytes);
  assert.deepEqual(used(), [0, 0]);
  fixture.nowMs += 1000;
  const { finds } = fixture;
  assert.deepEqual(used(), [0, 0]);
  assert.equal(fixture.finds, finds);
  fixture.fillDisk("runs.work", 64 * kib);
  fixture.fillDisk("without.work", 64 * kib);
  fixture.nowMs += 1000;
  assert.deepEqual(used(), [64 * kib, 0]);
});

Deno.test("a VM that ran and stopped between two lists is measured", () => {
  using fixture = new Fixture();
  fixture.put("a", "stopped");
  assert.deepEqual(fixture.used(), { a: 0 });
  fixture.put("a", "running");
  fixture.fillDisk("a", 64 * kib);
  fixture.put("a", "stopped");
  assert.deepEqual(fixture.used(), { a: 64 * kib });
});

Deno.test("what has changed is in the list at once, whatever the clock says", () => {
  using fixture = new Fixture();
  fixture.put("a", "running");
  fixture.put("b", "running");
  fixture.used();
  fixture.fillDisk("b", 64 * kib);
  fixture.put("a", "stopped");
  assert.equal(parsed(fixture.listing.views()).vms[0]?.state, "stopped");
  assert.deepEqual(fixture.used(), { a: 0, b: 0 }, "b was measured less than a second ago");
  fixture.nowMs += 1000;
  assert.deepEqual(fixture.used(), { a: 0, b: 64 * kib });
});

Deno.test("the overview tells what VMs have in common once", () => {
  using fixture = new Fixture();
  fixture.put("a", "stopped");
  fixture.put("b", "running", {
    runtime: { vmm: "qemu", accelerator: "tcg", sshPort: 22, readyAfterMs: 1 },
  });
  fixture.put("c", "stopped", { createdAtMs: 0 });
  const common = { image: "i", cpus: 1, memoryMib: 512, diskBytes: 1 << 30 };
  assert.deepEqual(parsed(fixture.listing.overview()), {
    groups: [
      { state: "stopped", ...common, vmm: null, accelerator: null },
      { state: "running", ...common, vmm: "qemu", accelerator: "tcg" },
    ],
    vms: [["c", 0, 0], ["a", 1, 0], ["b", 1, 1]],
  });
});

/** What a table shows of each VM. */
function shown({ name, createdAtMs, state, image, cpus, memoryMib, diskBytes, ...rest }: VmView) {
  const { vmm, accelerator } = rest;
  return { name, createdAtMs, state, image, cpus, memoryMib, diskBytes, vmm, accelerator };
}

function ungrouped({ groups, vms }: VmOverview) {
  return vms.map(([name, createdAtMs, group]) => ({ name, createdAtMs, ...groups[group]! }));
}

const step = fc.oneof(
  fc.record({
    put: fc.constantFrom("a", "b", "c", "d", "e"),
    state: fc.constantFrom(...vmStates),
    createdAtMs: fc.integer({ min: 0, max: 3 }),
  }),
  fc.record({ delete: fc.constantFrom("a", "b", "c", "d", "e") }),
  fc.record({ fill: fc.constantFrom("a", "b"), kib: fc.constantFrom(4, 64) }),
  fc.constant({ forget: true }),
  fc.constant({ ask: true }),
);

Deno.test("after whatever changes, the list is what a new one would be", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      using fixture = new Fixture();
      for (const one of steps) {
        if ("put" in one) fixture.put(one.put, one.state, { createdAtMs: one.createdAtMs });
        else if ("delete" in one) fixture.delete(one.delete);
        else if ("fill" in one) fixture.fillDisk(one.fill, one.kib * kib);
        else if ("forget" in one) fixture.forgotten = fixture.revision;
        else (fixture.listing.views(), fixture.listing.overview());
        // Whoever writes to a disk has a row that says so, or changes it afterwards.
        if ("fill" in one && fixture.vms.has(one.fill as VmId)) fixture.put(one.fill, "stopped");
      }
      fixture.nowMs += 1000;
      const { vms } = parsed(fixture.listing.views());
      assert.deepEqual(vms, parsed(fixture.fresh().views()).vms);
      const overview = parsed(fixture.listing.overview());
      assert.deepEqual(ungrouped(overview), vms.map(shown));
      assert.ok(v.is(vmOverview, overview));
    }),
    { numRuns: 50 },
  );
});

Deno.test("what is listed keeps the contract", () => {
  using fixture = new Fixture();
  fixture.put("a", "stopped", { id: "0123456789abcdef" as VmId });
  assert.ok(v.is(v.array(vmView), parsed(fixture.listing.views()).vms));
});

function vmRecord(name: string, state: VmState): VmRecord {
  return {
    id: name as VmId,
    config: {
      name,
      image: "i",
      kernel: "k",
      cpus: 1,
      memoryMib: 512,
      diskBytes: 1 << 30,
      workDiskBytes: 0,
    },
    state,
    failure: null,
    ephemeral: false,
    createdAtMs: 1,
    startedAtMs: null,
    runtime: null,
    workspace: null,
    imageDefaults: true,
    imageDigest: "sha256:0",
    labels: {},
    autoStopMs: null,
    command: null,
    published: [],
    autoPorts: false,
    kernelDigest: "sha256:0",
  };
}
