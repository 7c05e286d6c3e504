import assert from "node:assert/strict";
import { BangerError } from "../../model/errors.ts";
import { maxStartAttempts, unsoundMachineCode } from "./contract.ts";
import { createRequest, never, ServiceFixture, silent } from "./testdata/service_fixture.ts";

const unsound = new BangerError("unavailable", 'Cannot start VM "web": its timer is off', {
  code: unsoundMachineCode,
});

Deno.test("a start whose machine is unsound is undone and done again, and the user is told", async () => {
  using fixture = new ServiceFixture();
  const { service, running } = fixture;
  const { id } = await service.create(createRequest("web"), silent, never);
  const notices: string[] = [];
  fixture.startFailures.push(unsound);
  await service.start("web", { ...silent, notice: (text) => void notices.push(text) }, never);
  assert.equal(fixture.row("web").state, "running");
  assert.equal(fixture.starts, 2);
  assert.ok(running.has(id));
  assert.deepEqual(notices, ["Starting it again: its timer is off"]);
  await service.delete("web", true, silent, never);
  assert.deepEqual(fixture.disagreements(), []);
});

Deno.test("a machine that stays unsound, and any other failure, ends the start", async () => {
  using fixture = new ServiceFixture();
  const { service } = fixture;
  await service.create(createRequest("web"), silent, never);
  fixture.guestsBreak = true;
  fixture.startFailures.push(...Array.from({ length: maxStartAttempts + 1 }, () => unsound));
  await assert.rejects(service.start("web", silent, never), unsound);
  assert.equal(fixture.starts, maxStartAttempts);
  assert.equal(fixture.row("web").state, "failed");
  fixture.startFailures.length = 0;

  fixture.startFailures.push(new Error("broken"));
  await assert.rejects(service.start("web", silent, never), /broken/);
  assert.equal(fixture.starts, maxStartAttempts + 1);
});
