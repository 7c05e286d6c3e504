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

Deno.test("a restart that cannot boot leaves a failed VM with the reason", async () => {
  using fixture = new ServiceFixture();
  const { service } = fixture;
  await service.create(createRequest("web", { start: true }), silent, never);
  fixture.startFailure = new Error("no memory");
  await assert.rejects(service.restart("web", gently, silent, never), /no memory/);
  const { state, failure } = fixture.row("web");
  assert.deepEqual({ state, failure }, { state: "failed", failure: "no memory" });
  assert.deepEqual(fixture.disagreements(), []);
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
