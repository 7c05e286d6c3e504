import assert from "node:assert/strict";
import { LocalHost } from "./local_host.ts";
import { vmOwner } from "./vm_owner.ts";

const run = "0123456789ab";
const uid = Deno.uid() ?? 0;

/** A session leader with the arguments of a VM's passt, as the user who would run it. */
function passtOf(runtimeDir: string, asUid: number | undefined): Deno.ChildProcess {
  const args = ["-c", "sleep 60; true", "passt", "--socket", `${runtimeDir}/${run}/n`];
  const user = asUid === undefined || asUid === uid ? {} : { uid: asUid };
  const streams = { stdin: "null", stdout: "null", stderr: "null" } as const;
  return new Deno.Command("/bin/sh", { args, cwd: "/", detached: true, ...streams, ...user })
    .spawn();
}

Deno.test("a look ahead is the first answer, and only that", async () => {
  const runtimeDir = await Deno.makeTempDir();
  const host = new LocalHost(uid, `${runtimeDir}/d`);
  const passt = passtOf(runtimeDir, vmOwner(uid, run)?.uid);
  try {
    await untilSeen(runtimeDir, passt.pid);
    await host.lookAhead(true);
    passt.kill("SIGKILL");
    await passt.status;
    const [first] = await host.vmProcesses();
    assert.deepEqual([first?.run, first?.program], [run, "passt"]);
    assert.equal(first?.handle.pid, passt.pid);
    assert.deepEqual(await host.vmProcesses(), []);
  } finally {
    host.close();
    await Deno.remove(runtimeDir, { recursive: true });
  }
});

Deno.test("processes of other users are nobody's, whatever they call themselves", async () => {
  if (uid !== 0) return;
  const runtimeDir = await Deno.makeTempDir();
  const host = new LocalHost(0, `${runtimeDir}/d`);
  const stranger = passtOf(runtimeDir, 54_321);
  try {
    await untilSeen(runtimeDir, stranger.pid);
    await host.lookAhead(true);
    assert.deepEqual(await host.vmProcesses(), []);
    assert.deepEqual(await host.vmProcesses(), []);
  } finally {
    host.close();
    stranger.kill("SIGKILL");
    await stranger.status;
    await Deno.remove(runtimeDir, { recursive: true });
  }
});

/** Until the process has become what it is to be. */
async function untilSeen(text: string, pid: number): Promise<void> {
  for (const endMs = performance.now() + 5_000; performance.now() < endMs;) {
    if ((await Deno.readTextFile(`/proc/${pid}/cmdline`)).includes(text)) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("it does not start");
}
