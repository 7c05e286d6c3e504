import assert from "node:assert/strict";
import { cpuTimes, networkBytes, sshSessions } from "./stats.ts";

Deno.test("busy is what was neither idle nor waiting for a disk; guests' time counts once", () => {
  const text = "cpu  100 20 30 400 50 6 7 8 90 9\ncpu0 1 2 3 4 5 6 7 8 9 0\nintr 1\n";
  assert.deepEqual(cpuTimes(text), { totalS: 6.21, busyS: 1.71 });
  assert.equal(cpuTimes("nothing"), null);
  assert.equal(cpuTimes("cpu  1 2 3\n"), null);
});

Deno.test("the loopback does not count as network", () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls
    lo: 5000      10    0    0    0     0          0         0     5000      10    0    0    0     0
  eth0:1000       10    0    0    0     0          0         0      300      10    0    0    0     0
  wg0: 7 1 0 0 0 0 0 0 2 1 0 0 0 0
`;
  assert.deepEqual(networkBytes(text), { receivedBytes: 1007, sentBytes: 302 });
  assert.deepEqual(networkBytes(""), { receivedBytes: 0, sentBytes: 0 });
});

Deno.test("only established connections to the ssh server are sessions", () => {
  const tcp = `  sl  local_address rem_address   st
   0: 00000000:0016 00000000:0000 0A 00000000:00000000
   1: 0F02000A:0016 0202000A:C1B2 01 00000000:00000000
   2: 0F02000A:C001 0202000A:0016 01 00000000:00000000
   3: 0F02000A:0016 0202000A:C1B3 06 00000000:00000000
`;
  assert.equal(sshSessions([tcp, ""]), 1);
});
