import assert from "node:assert/strict";
import { BangerError, isBangerError } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import { createRequest, never, ServiceFixture, silent } from "./testdata/service_fixture.ts";

const gib = 1024 ** 3;
const gently = { image: null, force: false };
const force = { image: null, force: true };

function kind(expected: string, words: RegExp) {
  return (error: unknown) =>
    isBangerError(error) && error.kind === expected &&
    words.test(`${error.message}\n${error.hint}`);
}

/** A VM `web` with a work disk. */
async function made(fixture: ServiceFixture, start = false): Promise<VmId> {
  const request = createRequest("web", {
    workDiskBytes: 8 * gib,
    workspace: "repo",
    start,
    labels: { team: "a" },
  });
  const { id } = await fixture.service.create(request, silent, never);
  return id;
}

Deno.test("a reset makes a fresh disk as large as the old one, and keeps the rest", async () => {
  using fixture = new ServiceFixture();
  const { service, disks } = fixture;
  const id = await made(fixture);
  const before = fixture.row("web");
  disks.set(id, -1);
  assert.equal((await service.reset("web", gently, silent, never)).state, "created");
  assert.equal(disks.get(id), before.config.diskBytes);
  assert.deepEqual(fixture.row("web"), before);
  await service.start("web", silent, never);
  await service.stop("web", { timeoutMs: 1_000, force: false }, silent, never);
  assert.equal((await service.reset("web", gently, silent, never)).state, "stopped");
});

Deno.test("one that runs, and one of which nothing would be kept, is not reset without force", async () => {
  using fixture = new ServiceFixture();
  const { service, disks } = fixture;
  const id = await made(fixture, true);
  disks.set(id, -1);
  await assert.rejects(
    service.reset("web", gently, silent, never),
    kind("conflict", /it is running\nbanger vm stop web first, or banger vm reset --force web/),
  );
  assert.deepEqual([fixture.row("web").state, disks.get(id)], ["running", -1]);
  assert.equal((await service.reset("web", force, silent, never)).state, "stopped");
  assert.equal(disks.get(id), 8 * gib);
  assert.deepEqual(fixture.disagreements(), []);

  const bare = await service.create(
    createRequest("bare", { workspace: "repo" }),
    silent,
    never,
  );
  disks.set(bare.id, -1);
  await assert.rejects(
    service.reset("bare", gently, silent, never),
    kind("precondition", /nothing in it would be kept\nbanger vm set bare --work-disk 8G/),
  );
  assert.equal(disks.get(bare.id), -1);
  await service.reset("bare", force, silent, never);
  assert.equal(fixture.row("bare").workspace, null, "its repository is gone");
  assert.equal(disks.get(bare.id), 8 * gib);
});

Deno.test("another image is what the disk is of from then on", async () => {
  using fixture = new ServiceFixture();
  const { service } = fixture;
  await made(fixture);
  fixture.images.set("large", 20 * gib);
  await service.reset("web", { image: "large", force: false }, silent, never);
  const { config, imageDigest } = fixture.row("web");
  assert.deepEqual([config.image, config.diskBytes], ["large", 20 * gib]);
  assert.equal(imageDigest, "sha256:large");
  await service.reset("web", { image: "base", force: false }, silent, never);
  assert.equal(fixture.row("web").config.diskBytes, 20 * gib, "what it was given it keeps");
  const pull = service.reset("web", { image: "unknown", force: false }, silent, never);
  await assert.rejects(pull, kind("not_found", /unknown/));
  assert.equal(fixture.row("web").state, "created");
});

Deno.test("a reset that was cut off is carried on by the next daemon", async () => {
  using fixture = new ServiceFixture();
  const { service, disks, store } = fixture;
  const id = await made(fixture);
  for (const isGone of [false, true]) {
    store.vms.update(id, { state: "resetting" });
    if (isGone) disks.delete(id);
    else disks.set(id, -1);
    await service.reconcile({ atStart: true, dryRun: false }, silent, never);
    assert.equal(fixture.row("web").state, "created");
    assert.equal(disks.get(id), 8 * gib);
  }
  assert.deepEqual(fixture.warnings, []);
});

Deno.test("an old disk that cannot be removed is started by nobody", async () => {
  using fixture = new ServiceFixture();
  const { service, disks } = fixture;
  const id = await made(fixture);
  fixture.removeFailure = new Error("read-only file system");
  await assert.rejects(service.reset("web", gently, silent, never), /read-only/);
  assert.equal(fixture.row("web").state, "resetting");
  const cutOff = kind("conflict", /its reset was cut off\nbanger vm reset --force web/);
  await assert.rejects(service.start("web", silent, never), cutOff);
  await assert.rejects(service.stop("web", { timeoutMs: 1, force: true }, silent, never), cutOff);
  await service.reconcile({ atStart: true, dryRun: false }, silent, never);
  assert.equal(fixture.warnings.length, 1);
  fixture.removeFailure = undefined;
  disks.set(id, -1);
  await service.reset("web", force, silent, never);
  assert.deepEqual([fixture.row("web").state, disks.get(id)], ["created", 8 * gib]);
  await service.delete("web", false, silent, never);
  assert.deepEqual(fixture.disagreements(), []);
});

Deno.test("a disk that cannot be made leaves a failed VM whose next start makes it", async () => {
  using fixture = new ServiceFixture();
  const { service, disks } = fixture;
  const id = await made(fixture);
  fixture.prepareFailure = new BangerError("exhausted", "Cannot make the disk: no space left");
  await assert.rejects(service.reset("web", gently, silent, never), /no space left/);
  const { state, failure } = fixture.row("web");
  assert.deepEqual([state, failure], ["failed", "Cannot make the disk: no space left"]);
  assert.ok(!disks.has(id), "the old one is gone");
  fixture.prepareFailure = undefined;
  await service.start("web", silent, never);
  assert.equal(disks.get(id), 8 * gib);
});

Deno.test("what is missing is found out while there is a way back", async () => {
  using fixture = new ServiceFixture();
  const { service, disks } = fixture;
  const id = await made(fixture);
  disks.set(id, -1);
  fixture.missing = [{ what: "its work disk is missing", hint: "put it back" }];
  for (const image of [null, "base"]) {
    await assert.rejects(
      service.reset("web", { image, force: true }, silent, never),
      kind("precondition", /its work disk is missing\nput it back/),
    );
  }
  assert.deepEqual([fixture.row("web").state, disks.get(id)], ["created", -1]);
});

Deno.test("twice at once, against a start and against a delete: one comes after the other", async () => {
  using fixture = new ServiceFixture();
  const { service } = fixture;
  const id = await made(fixture);
  fixture.pause = () => new Promise((resolve) => setTimeout(resolve, 1));
  await Promise.all([
    service.reset(id, gently, silent, never),
    service.reset(id, gently, silent, never),
  ]);
  const [reset, started] = await Promise.allSettled([
    service.reset(id, gently, silent, never),
    service.start(id, silent, never),
  ]);
  assert.deepEqual([reset.status, started.status], ["fulfilled", "fulfilled"]);
  assert.equal(fixture.row("web").state, "running");
  const [again, deleted] = await Promise.allSettled([
    service.reset(id, force, silent, never),
    service.delete(id, true, silent, never),
  ]);
  assert.deepEqual([again.status, deleted.status], ["fulfilled", "fulfilled"]);
  assert.deepEqual(fixture.disagreements(), []);
  assert.throws(() => service.reset(id, force, silent, never), kind("not_found", /./));
});
