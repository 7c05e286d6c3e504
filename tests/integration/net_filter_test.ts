import assert from "node:assert/strict";
import { isBangerError } from "../../src/model/errors.ts";
import { LoopbackPorts } from "../../src/net/loopback_port.ts";
import { LocalProcesses, type OwnProgram } from "../../src/process/local_processes.ts";
import { netFilterProgram } from "../../src/version/net_filter_program.ts";
import { type NetFilterHandle, stopNetFilter } from "../../src/vmm/netfilter/start_net_filter.ts";
import { startFilteredPasst } from "../../src/vmm/netfilter/start_filtered_passt.ts";
import { guestNetwork } from "../../src/vmm/passt/guest_network.ts";
import { type PasstHandle, stopPasst } from "../../src/vmm/passt/start_passt.ts";
import { skipUnless } from "../support/require.ts";
import { testOwner } from "./boot_fixture.ts";
import { PasstPeer } from "./passt_peer.ts";

const never = new AbortController().signal;
const program = netFilterProgram();
const isBuilt = await Deno.stat(program.stdinPath ?? "").then(() => true, () => false);

interface Started {
  readonly dir: string;
  readonly processes: LocalProcesses;
  readonly passt: PasstHandle;
  readonly filter: NetFilterHandle;
}

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: skipUnless(name, isBuilt, "build/kit is not built"), fn });
}

async function withDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-net-filter-" });
  try {
    await Deno.chmod(dir, 0o711);
    await Deno.mkdir(`${dir}/run`, { mode: 0o700 });
    if (testOwner !== null) await Deno.chown(`${dir}/run`, testOwner.uid, testOwner.gid);
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function start(dir: string, processes: LocalProcesses, ports = new LoopbackPorts()) {
  return startFilteredPasst(processes, ports, {
    runDir: `${dir}/run`,
    stateDir: dir,
    forwards: [{ guestPort: 22, preferred: null }],
    dropTo: testOwner,
    socketPath: `${dir}/run/f`,
    passtSocketPath: `${dir}/run/n`,
    mac: "02:00:00:00:00:01",
  }, never);
}

function withFilter(body: (started: Started) => Promise<void>, own: OwnProgram = program) {
  return withDir(async (dir) => {
    const processes = new LocalProcesses({ netFilter: own });
    const { passt, filter } = await start(dir, processes);
    try {
      await body({ dir, processes, passt, filter });
    } finally {
      await stopNetFilter(processes, filter);
      await stopPasst(processes, passt);
    }
  });
}

async function ended(processes: LocalProcesses, handle: PasstHandle["process"]) {
  return (await processes.exited(handle, AbortSignal.timeout(5_000))).code;
}

test("frames to the host's loopback are dropped, and the reason is told", async () => {
  using listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  const { port } = listener.addr;
  await withFilter(async ({ filter, dir }) => {
    const peer = await PasstPeer.connect(filter.socketPath);
    for (const address of ["127.0.0.1", "127.1.2.3", "0.0.0.0"]) await peer.sendSyn(address, port);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const open = peer.replies.filter(({ answer }) => answer === "open");
    assert.deepEqual(open, []);
    const told = await Deno.readTextFile(`${dir}/net_filter.stderr`);
    assert.equal(told, "net-filter: Dropped a frame of the guest: forbidden destination\n");
    await peer.close();
  });
});

test("passt alone connects to the loopback: without the filter it would be open", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await withFilter(async ({ passt }) => {
    const peer = await PasstPeer.connect(passt.socketPath);
    await peer.sendSyn("127.0.0.1", listener.addr.port);
    const connection = await listener.accept();
    connection.close();
    await peer.close();
  });
});

test("the filter runs without rights and ends with QEMU, and passt with it", async () => {
  await withFilter(async ({ processes, passt, filter }) => {
    const status = await Deno.readTextFile(`/proc/${filter.process.pid}/status`);
    const uid = testOwner?.uid ?? Deno.uid();
    assert.match(status, new RegExp(`^Uid:\t${uid}\t${uid}\t`, "m"));
    if (testOwner !== null) assert.match(status, /^Groups:\t *$/m);
    assert.match(status, /^CapEff:\t0+$/m);
    assert.match(status, /^NoNewPrivs:\t1$/m);
    const peer = await PasstPeer.connect(filter.socketPath);
    await peer.sendSyn(guestNetwork.gateway, 9);
    await peer.close();
    assert.equal(await ended(processes, filter.process), 0);
    assert.equal(await ended(processes, passt.process), 0);
  });
});

test("the filter ends with passt, and hangs up on QEMU", async () => {
  await withFilter(async ({ processes, passt, filter }) => {
    using qemu = await Deno.connect({ transport: "unix", path: filter.socketPath });
    // The filter connects to passt now.
    await new Promise((resolve) => setTimeout(resolve, 300));
    await stopPasst(processes, passt);
    assert.equal(await qemu.read(new Uint8Array(1)), null);
    assert.equal(await ended(processes, filter.process), 0);
  });
});

test("an impossible length ends the filter with a reason", async () => {
  await withFilter(async ({ dir, processes, filter }) => {
    using qemu = await Deno.connect({ transport: "unix", path: filter.socketPath });
    await qemu.write(Uint8Array.of(0xff, 0xff, 0xff, 0xff));
    assert.equal(await ended(processes, filter.process), 1);
    const told = await Deno.readTextFile(`${dir}/net_filter.stderr`);
    assert.equal(told, "net-filter: Cannot filter: a frame of 4294967295 bytes\n");
  });
});

test("program and code may be where only their owner gets", async () => {
  await withDir(async (closed) => {
    await Deno.chmod(closed, 0o700);
    const own = { ...program, programPath: `${closed}/deno`, stdinPath: `${closed}/code.js` };
    await Deno.copyFile(program.programPath, own.programPath);
    await Deno.chmod(own.programPath, 0o555);
    await Deno.copyFile(program.stdinPath ?? "", own.stdinPath);
    await Deno.chmod(own.stdinPath, 0o400);
    await withFilter(async ({ filter }) => {
      const peer = await PasstPeer.connect(filter.socketPath);
      await peer.close();
    }, own);
  });
});

test("a filter that cannot start takes passt and its ports with it", async () => {
  await withDir(async (dir) => {
    const processes = new LocalProcesses({
      netFilter: { ...program, stdinPath: `${dir}/no such file` },
    });
    const ports = new LoopbackPorts();
    await assert.rejects(
      start(dir, processes, ports),
      (error) => isBangerError(error, "internal") && /no such file/.test(error.detail ?? ""),
    );
    const left = await Array.fromAsync(Deno.readDir(`${dir}/run`), ({ name }) => name);
    assert.deepEqual(left, []);
  });
});
