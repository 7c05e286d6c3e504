import assert from "node:assert/strict";
import type { VmId } from "../../../model/ids.ts";
import type { VmRecord } from "../../../model/vm.ts";
import { Reaper, unusedMs } from "./reaper.ts";
import type { Measurement } from "./stats.ts";
import { createRequest, never, ServiceFixture, silent } from "../testdata/service_fixture.ts";

const minute = 60_000;

function at(minutes: number, given: Partial<Measurement> & { sshSessions?: number | null } = {}) {
  const { sshSessions = 0, ...rest } = given;
  return {
    monotonicMs: minutes * minute,
    cpuPercent: 0.5,
    execs: 0,
    forwarded: { open: 0, accepted: 0 },
    guest: { sshSessions },
    ...rest,
  } as Measurement;
}

Deno.test("a VM is unused since its last use; what cannot be told is use", () => {
  assert.equal(unusedMs([]), 0);
  assert.equal(unusedMs([at(0, { cpuPercent: null }), at(10), at(30)]), 30 * minute);
  assert.equal(unusedMs([at(0), at(10, { cpuPercent: 40 }), at(30)]), 20 * minute);
  assert.equal(unusedMs([at(0), at(10), at(30, { execs: 1 })]), 0);
  assert.equal(unusedMs([at(0), at(10, { sshSessions: 1 }), at(30)]), 20 * minute);
  assert.equal(unusedMs([at(0), at(10), at(30, { sshSessions: null })]), 0);
  const forwarded = (open: number, accepted: number) => ({ forwarded: { open, accepted } });
  assert.equal(unusedMs([at(0), at(10, forwarded(1, 0)), at(30)]), 20 * minute);
  // One that came and went between two measurements.
  const later = [at(20, forwarded(0, 1)), at(30, forwarded(0, 1))];
  assert.equal(unusedMs([at(0), at(10), ...later]), 10 * minute);
});

Deno.test("who is stopped: the VM's own time goes before the configured one", async () => {
  const history = [at(0), at(61)];
  const stopped = async (given: Partial<VmRecord>, defaultAfterMs: number | null) => {
    const ids: VmId[] = [];
    const reaper = new Reaper({
      history: () => history,
      defaultAfterMs,
      stop: (id) => Promise.resolve(void ids.push(id)),
      log: { info: () => {}, warn: () => {} },
    });
    const vm = { id: "a", config: { name: "a" }, ephemeral: false, autoStopMs: null, ...given };
    await reaper.reap([vm as VmRecord]);
    return ids.length === 1;
  };
  assert.equal(await stopped({}, null), false);
  assert.equal(await stopped({}, 60 * minute), true);
  assert.equal(await stopped({}, 62 * minute), false);
  assert.equal(await stopped({ autoStopMs: 0 }, 60 * minute), false);
  assert.equal(await stopped({ autoStopMs: 30 * minute }, null), true);
  assert.equal(await stopped({ ephemeral: true }, 60 * minute), false);
});

Deno.test("under its lock a VM that is used again is not stopped; the reason stays until it starts", async () => {
  using fixture = new ServiceFixture();
  const { service } = fixture;
  const { id } = await service.create(createRequest("web", { start: true }), silent, never);
  await service.stopUnused(id, "not used", () => false, silent, never);
  assert.equal(fixture.row("web").state, "running");
  service.liveOf(id)!.execs = 1;
  await service.stopUnused(id, "not used", () => true, silent, never);
  assert.equal(fixture.row("web").state, "running");
  service.liveOf(id)!.execs = 0;
  await service.stopUnused(id, "not used", () => true, silent, never);
  const { state, failure } = fixture.row("web");
  assert.deepEqual({ state, failure }, { state: "stopped", failure: "not used" });
  await service.start("web", silent, never);
  assert.equal(fixture.row("web").failure, null);
});
