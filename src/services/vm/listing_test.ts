import assert from "node:assert/strict";
import type { VmId } from "../../model/ids.ts";
import type { VmRecord, VmState } from "../../model/vm.ts";
import { Serialised } from "../../transport/serialised.ts";
import { VmListing } from "./listing.ts";

const kib = 1024;

/** Rows and disks to change at will, and a clock. */
class Fixture {
  readonly dir = Deno.makeTempDirSync();
  readonly vms = new Map<VmId, VmRecord>();
  readonly writtenAt = new Map<VmId, number>();
  revision = 0;
  nowMs = 0;
  reads = 0;
  readonly listing = new VmListing({
    store: this,
    overlay: (id) => `${this.dir}/${id}`,
    monotonicMs: () => this.nowMs,
  });

  revisionOf(id: VmId): number {
    return this.writtenAt.get(id) ?? 0;
  }

  each(): Iterable<VmRecord> {
    this.reads++;
    return this.vms.values();
  }

  put(name: string, state: VmState): void {
    this.vms.set(name as VmId, vmRecord(name, state));
    this.writtenAt.set(name as VmId, ++this.revision);
  }

  fillDisk(name: string, bytes: number): void {
    Deno.writeFileSync(`${this.dir}/${name}`, new Uint8Array(bytes).fill(1));
  }

  used(): Record<string, number> {
    const answer = this.listing.current();
    assert.ok(answer instanceof Serialised);
    const { vms } = JSON.parse(new TextDecoder().decode(answer.bytes)) as typeof answer.of;
    return Object.fromEntries(vms.map((vm) => [vm.name, vm.diskUsedBytes]));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.dir, { recursive: true });
  }
}

Deno.test("the list is made once while no row changes", () => {
  using fixture = new Fixture();
  fixture.put("a", "stopped");
  fixture.put("b", "failed");
  const first = fixture.listing.current();
  fixture.nowMs += 100_000;
  assert.equal(fixture.listing.current(), first);
  assert.equal(fixture.reads, 1);
  fixture.put("c", "created");
  assert.deepEqual(Object.keys(fixture.used()), ["a", "b", "c"]);
  fixture.vms.delete("a" as VmId);
  fixture.revision++;
  assert.deepEqual(Object.keys(fixture.used()), ["b", "c"]);
});

Deno.test("a disk that is written to is measured again after a second", () => {
  using fixture = new Fixture();
  fixture.put("runs", "running");
  fixture.put("rests", "stopped");
  assert.deepEqual(fixture.used(), { runs: 0, rests: 0 });
  fixture.fillDisk("runs", 64 * kib);
  fixture.fillDisk("rests", 64 * kib);
  fixture.nowMs += 999;
  assert.deepEqual(fixture.used(), { runs: 0, rests: 0 });
  fixture.nowMs += 1;
  assert.deepEqual(fixture.used(), { runs: 64 * kib, rests: 0 });
  const same = fixture.listing.current();
  fixture.nowMs += 1000;
  assert.equal(fixture.listing.current(), same, "nothing has changed");
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
  const { state } = JSON.parse(new TextDecoder().decode(fixture.listing.current().bytes)).vms[0];
  assert.equal(state, "stopped");
  assert.deepEqual(fixture.used(), { a: 0, b: 0 }, "b was measured less than a second ago");
  fixture.nowMs += 1000;
  assert.deepEqual(fixture.used(), { a: 0, b: 64 * kib });
});

function vmRecord(name: string, state: VmState): VmRecord {
  return {
    id: name as VmId,
    config: { name, image: "i", kernel: "k", cpus: 1, memoryMib: 512, diskBytes: 1 << 30 },
    state,
    failure: null,
    ephemeral: false,
    createdAtMs: 1,
    startedAtMs: null,
    runtime: null,
    workspace: null,
    imageDigest: "sha256:0",
    kernelDigest: "sha256:0",
  };
}
