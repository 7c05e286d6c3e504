import assert from "node:assert/strict";
import { isBangerError } from "../../src/model/errors.ts";
import { LoopbackPorts } from "../../src/net/loopback_port.ts";
import { LocalProcesses } from "../../src/process/local_processes.ts";
import { guestNetwork } from "../../src/vmm/passt/guest_network.ts";
import { type PasstHandle, startPasst, stopPasst } from "../../src/vmm/passt/start_passt.ts";
import { testOwner } from "./boot_fixture.ts";
import { PasstPeer } from "./passt_peer.ts";

const never = new AbortController().signal;

async function withPasst(
  preferred: number | null,
  body: (passt: PasstHandle, processes: LocalProcesses) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-passt-" });
  try {
    await Deno.chmod(dir, 0o711);
    await Deno.mkdir(`${dir}/run`, { mode: 0o700 });
    if (testOwner !== null) await Deno.chown(`${dir}/run`, testOwner.uid, testOwner.gid);
    const processes = new LocalProcesses();
    const passt = await startPasst(processes, new LoopbackPorts(), {
      runDir: `${dir}/run`,
      stateDir: dir,
      forwards: [{ guestPort: 22, preferred }],
      dropTo: testOwner,
    }, never);
    try {
      await body(passt, processes);
    } finally {
      await stopPasst(processes, passt);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a listener of the host's loopback does not answer at an address of the guest's network", async () => {
  using loopback = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using anywhere = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  await withPasst(null, async (passt) => {
    const peer = await PasstPeer.connect(passt.socketPath);
    const ports = [loopback, anywhere].map(({ addr }) => addr.port);
    for (const address of [guestNetwork.gateway, guestNetwork.dns, guestNetwork.address]) {
      for (const port of ports) await peer.sendSyn(address, port);
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    assert.deepEqual(peer.replies.filter(({ answer }) => answer === "open"), []);
    await peer.close();
  });
});

Deno.test("passt listens on the forwarded port of the loopback only, and ends with its peer", async () => {
  await withPasst(null, async (passt, processes) => {
    const [forward] = passt.forwards;
    assert.ok(forward !== undefined);
    const peer = await PasstPeer.connect(passt.socketPath);
    using _connection = await Deno.connect({ hostname: "127.0.0.1", port: forward.hostPort });
    const lan = Deno.networkInterfaces().find(({ family, address }) =>
      family === "IPv4" && !address.startsWith("127.")
    );
    if (lan !== undefined) {
      await assert.rejects(Deno.connect({ hostname: lan.address, port: forward.hostPort }));
    }
    await peer.close();
    const exit = await processes.exited(passt.process, never);
    assert.equal(exit.code, 0);
  });
});

Deno.test("passt runs without rights, and a preferred port that is taken is replaced", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await withPasst(taken.addr.port, async (passt) => {
    assert.notEqual(passt.forwards[0]?.hostPort, taken.addr.port);
    // It closes its sandbox just after its socket is there.
    const deadline = performance.now() + 2_000;
    let status = "";
    while (!/^Seccomp:\t2$/m.test(status) && performance.now() < deadline) {
      status = await Deno.readTextFile(`/proc/${passt.process.pid}/status`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.doesNotMatch(status, /^Uid:\t0\t/m);
    assert.match(status, /^CapEff:\t0+$/m);
    assert.match(status, /^NoNewPrivs:\t1$/m);
    assert.match(status, /^Seccomp:\t2$/m);
  });
});

Deno.test("a cancelled start leaves nothing", async () => {
  const dir = await Deno.makeTempDir({ prefix: "banger-passt-" });
  try {
    const cancel = new AbortController();
    setTimeout(() => cancel.abort(), 2);
    const starting = startPasst(new LocalProcesses(), new LoopbackPorts(), {
      runDir: dir,
      stateDir: dir,
      forwards: [],
      dropTo: null,
    }, cancel.signal);
    await assert.rejects(starting, (error) => isBangerError(error, "cancelled"));
    const left = await Array.fromAsync(Deno.readDir(dir), ({ name }) => name);
    assert.deepEqual(left.filter((name) => name !== "passt.stderr"), []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
