import assert from "node:assert/strict";
import { isBangerError } from "../../../model/errors.ts";
import type { VmId } from "../../../model/ids.ts";
import type { VmRecord } from "../../../model/vm.ts";
import type { GuestStats } from "../../../wire/messages.ts";
import { LiveTable, type LiveVm } from "../live.ts";
import { statsRetention, VmStats } from "./stats.ts";

const vm = { id: "00000000000000aa" as VmId, config: { name: "a" }, state: "running" } as VmRecord;

function fixture() {
  const clock = { ms: 0 };
  const live = new LiveTable();
  const guest = { busyS: 0, received: 0, asked: 0 };
  const session = {
    stats: (): Promise<GuestStats> => {
      guest.asked += 1;
      return Promise.resolve({
        ...{ load1: 0, memoryTotalBytes: 0, memoryAvailableBytes: 0 },
        ...{ diskTotalBytes: 0, diskFreeBytes: 0, sshSessions: 0 },
        cpu: { totalS: clock.ms / 500, busyS: guest.busyS },
        network: { receivedBytes: guest.received, sentBytes: 0 },
      });
    },
    close: () => {},
  };
  const ports = { connections: 0, accepted: 0, closeAll: () => {} };
  const start = () => live.set(vm.id, { session, ports, execs: 0 } as unknown as LiveVm);
  const stats = new VmStats({
    live,
    now: () => 1_700_000_000_000 + clock.ms,
    monotonicMs: () => clock.ms,
    pause: (ms) => {
      clock.ms += ms;
      guest.busyS += 0.1;
      return Promise.resolve();
    },
  });
  return { clock, guest, live, stats, start };
}

Deno.test("the first answer is of two measurements, later ones of one each", async () => {
  const { clock, guest, stats, start } = fixture();
  start();
  assert.equal((await stats.measure(vm)).cpuPercent, 40);
  assert.equal(guest.asked, 2);
  clock.ms += 1000;
  guest.busyS += 1.5;
  guest.received += 5_000;
  const [one, two] = await Promise.all([stats.measure(vm), stats.measure(vm)]);
  assert.equal(one, two, "who asks at once shares");
  assert.ok(Math.abs(one.cpuPercent! - 150) < 1e-6);
  assert.equal(one.receivedBytesPerS, 5_000);
  assert.equal(guest.asked, 3);
});

Deno.test("counters that went back are of another start: no rates", async () => {
  const { clock, guest, stats, start } = fixture();
  start();
  guest.busyS = 50;
  await stats.measure(vm);
  clock.ms += 1000;
  guest.busyS = 1;
  assert.equal((await stats.measure(vm)).cpuPercent, null);
});

Deno.test("an hour is kept of what runs, nothing of the rest", async () => {
  const { clock, live, stats, start } = fixture();
  start();
  for (let turn = 0; turn < 800; turn++) {
    clock.ms += 10_000;
    await stats.poll(() => vm);
  }
  const history = stats.history(vm.id);
  assert.ok(history.length > 350 && history.length <= statsRetention.count, `${history.length}`);
  assert.ok(history.at(-1)!.monotonicMs - history[0]!.monotonicMs <= statsRetention.ms);
  live.drop(vm.id);
  await stats.poll(() => vm);
  assert.deepEqual(stats.history(vm.id), []);
  await assert.rejects(stats.measure(vm), (error) => isBangerError(error, "precondition"));
});
