import assert from "node:assert/strict";
import { isBangerError } from "../../model/errors.ts";
import { createRequest, never, ServiceFixture, silent } from "./testdata/service_fixture.ts";

const change = {
  name: null,
  cpus: null,
  memoryMib: null,
  diskBytes: null,
  workDiskBytes: null,
  labels: {},
  autoStopMs: "keep" as const,
  command: "keep" as const,
  autoPorts: null,
};
const gently = { timeoutMs: 1_000, force: false };
const gib = 1024 ** 3;

function kind(expected: string) {
  return (error: unknown) => isBangerError(error) && error.kind === expected;
}

Deno.test("set changes everything or nothing, and sizes only at rest", async () => {
  using fixture = new ServiceFixture();
  const { service, disks } = fixture;
  const { id } = await service.create(createRequest("web"), silent, never);
  await service.set("web", { ...change, cpus: 4, memoryMib: 512, diskBytes: 20 * gib }, never);
  assert.equal(disks.get(id), 20 * gib);
  const shrink = { ...change, cpus: 8, diskBytes: 10 * gib };
  await assert.rejects(service.set("web", shrink, never), kind("invalid"));
  assert.deepEqual([fixture.row("web").config.cpus, disks.get(id)], [4, 20 * gib]);

  await service.start("web", silent, never);
  for (const wanted of [{ cpus: 1 }, { memoryMib: 1024 }, { diskBytes: 30 * gib }]) {
    const request = { ...change, ...wanted, labels: { lost: "" } };
    await assert.rejects(service.set("web", request, never), kind("precondition"));
  }
  assert.deepEqual(fixture.row("web").labels, {});
  // What it has already is no change.
  await service.set("web", { ...change, cpus: 4, labels: { team: "a", ci: "" } }, never);
  await service.set("web", { ...change, name: "db", labels: { ci: null } }, never);
  assert.deepEqual(fixture.row("db").labels, { team: "a" });
  assert.equal(service.find(id).config.name, "db");
});

Deno.test("a VM's own command is set and taken back, also while it runs", async () => {
  using fixture = new ServiceFixture();
  const { service } = fixture;
  await service.create(createRequest("web", { start: true }), silent, never);
  assert.equal(fixture.row("web").command, null);
  await service.set("web", { ...change, command: ["npm", "start"] }, never);
  await service.set("web", { ...change, labels: { a: "" } }, never);
  assert.deepEqual(fixture.row("web").command, ["npm", "start"]);
  await service.set("web", { ...change, command: null }, never);
  assert.equal(fixture.row("web").command, null);
});

Deno.test("a work disk is made for a VM without one, grows, and never shrinks", async () => {
  using fixture = new ServiceFixture();
  const { service, workDisks } = fixture;
  const { id } = await service.create(createRequest("web"), silent, never);
  await service.set("web", { ...change, workDiskBytes: 2 * gib }, never);
  assert.equal(workDisks.get(id), 2 * gib);
  await service.set("web", { ...change, workDiskBytes: 3 * gib }, never);
  assert.deepEqual([workDisks.get(id), fixture.row("web").config.workDiskBytes], [
    3 * gib,
    3 * gib,
  ]);
  for (const workDiskBytes of [2 * gib, 0]) {
    await assert.rejects(service.set("web", { ...change, workDiskBytes }, never), kind("invalid"));
  }
  await service.start("web", silent, never);
  const larger = service.set("web", { ...change, workDiskBytes: 4 * gib }, never);
  await assert.rejects(larger, kind("precondition"));
  assert.equal(workDisks.get(id), 3 * gib);
});

Deno.test("a name that is taken and too many labels are refused", async () => {
  using fixture = new ServiceFixture();
  const { service } = fixture;
  await service.create(createRequest("web"), silent, never);
  await service.create(createRequest("db"), silent, never);
  await assert.rejects(service.set("web", { ...change, name: "db" }, never), kind("conflict"));
  const labels = Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, ""]));
  await assert.rejects(service.set("web", { ...change, labels }, never), kind("invalid"));
  assert.deepEqual(fixture.row("web").labels, {});
});

Deno.test("restart lets nobody in between, and starts what does not run", async () => {
  using fixture = new ServiceFixture();
  const { service, running } = fixture;
  const { id } = await service.create(createRequest("web"), silent, never);
  await service.restart("web", gently, silent, never);
  const first = running.get(id);
  fixture.pause = () => new Promise((resolve) => setTimeout(resolve, 1));
  const [, deletion] = await Promise.allSettled([
    service.restart("web", gently, silent, never),
    service.delete("web", false, silent, never),
  ]);
  assert.equal(deletion.status, "rejected", "it ran all the time, as far as others can tell");
  assert.equal(fixture.row("web").state, "running");
  assert.notEqual(running.get(id), first);
});

Deno.test("a VM that the host cannot start is what it was, with the reason; one whose guest breaks is failed", async () => {
  using fixture = new ServiceFixture();
  const { service } = fixture;
  const fails = async (verb: () => Promise<unknown>, expected: string) => {
    await assert.rejects(verb(), /no space/);
    const { state, failure } = fixture.row("web");
    assert.deepEqual([state, failure], [expected, "no space"]);
    assert.deepEqual(fixture.disagreements(), []);
  };
  const start = () => service.start("web", silent, never);
  await service.create(createRequest("web"), silent, never);
  fixture.startFailure = new Error("no space");
  await fails(start, "created");
  fixture.startFailure = undefined;
  await start();
  assert.equal(fixture.row("web").failure, null);
  fixture.startFailure = new Error("no space");
  await fails(() => service.restart("web", gently, silent, never), "stopped");
  fixture.guestsBreak = true;
  await fails(start, "failed");
  fixture.guestsBreak = false;
  await fails(start, "failed");
});

Deno.test("a start that is cancelled leaves the VM as it was, with what was said of it", async () => {
  using fixture = new ServiceFixture();
  const { service } = fixture;
  await service.create(createRequest("web"), silent, never);
  fixture.startFailure = new Error("broken");
  fixture.guestsBreak = true;
  await assert.rejects(service.start("web", silent, never), /broken/);
  const stop = new AbortController();
  fixture.startFailure = undefined;
  fixture.pause = () => Promise.resolve(stop.abort());
  await assert.rejects(service.start("web", silent, stop.signal));
  const { state, failure } = fixture.row("web");
  assert.deepEqual([state, failure], ["failed", "broken"]);
});

Deno.test("a first work disk of a VM that cannot be recorded is not left", async () => {
  using fixture = new ServiceFixture();
  const { service, store, workDisks } = fixture;
  const { id } = await service.create(createRequest("web"), silent, never);
  const { update } = store.vms;
  store.vms.update = () => {
    throw new Error("the disk is full");
  };
  const first = { ...change, workDiskBytes: 8 * gib };
  await assert.rejects(service.set("web", first, never), /the disk is full/);
  assert.deepEqual([...workDisks], []);
  store.vms.update = update;
  // As a daemon leaves it that is killed in between.
  workDisks.set(id, gib);
  const mode = { atStart: true, dryRun: false };
  const [mended] = await service.reconcile(mode, silent, never);
  assert.equal(mended?.why, "it is created and has a work disk that it was not given");
  assert.deepEqual([[...workDisks], mended?.failure], [[], null]);
  await service.set("web", first, never);
  assert.deepEqual([...workDisks], [[id, 8 * gib]]);
  assert.deepEqual(await service.reconcile(mode, silent, never), []);
});

Deno.test("a guest that does not power off is ended", async () => {
  using fixture = new ServiceFixture();
  const { service, running } = fixture;
  const { id } = await service.create(createRequest("web", { start: true }), silent, never);
  running.get(id)!.obeys = false;
  await service.stop("web", { timeoutMs: 5, force: false }, silent, never);
  assert.equal(fixture.row("web").state, "stopped");
  assert.deepEqual(fixture.disagreements(), []);
});
