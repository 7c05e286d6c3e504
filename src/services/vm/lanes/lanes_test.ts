import assert from "node:assert/strict";
import type { LaneLink } from "../../../vmm/contract.ts";
import { memoryLinks } from "../../../wire/memory_link.ts";
import { Lanes } from "./lanes.ts";

interface Rig {
  nowMs: number;
  broken: boolean;
  readonly opened: number[];
  readonly closed: LaneLink[];
}

function rig(count: number): { lanes: Lanes; rig: Rig } {
  const rig: Rig = { nowMs: 0, broken: false, opened: [], closed: [] };
  let nonces = 0;
  const lanes = new Lanes({
    count,
    open: (lane) => {
      rig.opened.push(lane);
      if (rig.broken) return Promise.reject(new Error("no such lane"));
      const [link] = memoryLinks();
      return Promise.resolve({
        ...link,
        close: () => {
          rig.closed.push(link);
          link.close();
        },
      });
    },
    monotonicMs: () => rig.nowMs,
    randomHex: (bytes) => `${++nonces}`.padStart(bytes * 2, "0"),
  });
  return { lanes, rig };
}

Deno.test("each lane has one user at a time, and the one used longest ago comes next", async () => {
  const { lanes, rig: { opened, closed } } = rig(3);
  const leases = [await lanes.lease(), await lanes.lease(), await lanes.lease()];
  assert.deepEqual(leases.map((lease) => lease?.lane), [0, 1, 2]);
  assert.equal(await lanes.lease(), null);
  leases[1]!.release();
  leases[1]!.release();
  leases[0]!.release();
  assert.equal(closed.length, 2);
  assert.equal((await lanes.lease())?.lane, 1);
  assert.equal((await lanes.lease())?.lane, 0);
  assert.equal(await lanes.lease(), null);
  assert.deepEqual(opened, [0, 1, 2, 1, 0]);
});

Deno.test("every use has a nonce of its own", async () => {
  const { lanes } = rig(1);
  const nonces = new Set<string>();
  for (let turn = 0; turn < 10; turn++) {
    const lease = await lanes.lease();
    assert.match(lease!.nonce, /^[0-9a-f]{64}$/);
    nonces.add(lease!.nonce);
    lease!.release();
  }
  assert.equal(nonces.size, 10);
});

Deno.test("a lane that does not work rests for a minute, the others are used", async () => {
  const { lanes, rig: state } = rig(2);
  (await lanes.lease())!.release(false);
  assert.equal((await lanes.lease())?.lane, 1);
  assert.equal(await lanes.lease(), null);
  state.nowMs = 59_999;
  assert.equal(await lanes.lease(), null);
  state.nowMs = 60_000;
  assert.equal((await lanes.lease())?.lane, 0);
});

Deno.test("a VM without lanes has none free, and is not asked again and again", async () => {
  const { lanes, rig: state } = rig(2);
  state.broken = true;
  for (let turn = 0; turn < 10; turn++) assert.equal(await lanes.lease(), null);
  assert.deepEqual(state.opened, [0, 1]);
  state.broken = false;
  state.nowMs = 60_000;
  assert.equal((await lanes.lease())?.lane, 0);
});
