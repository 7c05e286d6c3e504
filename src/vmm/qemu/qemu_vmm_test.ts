import assert from "node:assert/strict";
import { isBangerError } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import type { HostProcesses, LaunchSpec, ProcessHandle } from "../../process/host_processes.ts";
import { LocalProcesses } from "../../process/local_processes.ts";
import type { MachineSpec } from "../contract.ts";
import { QemuVmm } from "./qemu_vmm.ts";
import { LineReader } from "./line_reader.ts";

const greeting = '{"QMP":{"version":{},"capabilities":[]}}\n';

/** What the fake's monitor does on a connection: answers a command, or `null` to hang up. */
interface FakeMonitor {
  readonly first: string;
  readonly answer: (command: string, id: number, process: ProcessHandle) => string | null;
}

const obedient: FakeMonitor = {
  first: greeting,
  answer: (command, id) =>
    command === "query-status"
      ? `{"return":{"running":true},"id":${id}}\n`
      : `{"return":{},"id":${id}}\n`,
};

/** Real processes, with the sockets that QEMU would make served by this test. */
class FakeQemu implements HostProcesses, AsyncDisposable {
  readonly dir: string;
  readonly real: LocalProcesses;
  readonly monitor: FakeMonitor | null;
  readonly handles: ProcessHandle[] = [];
  readonly #listeners: Deno.Listener[] = [];
  readonly #serving: Promise<void>[] = [];
  readonly #connections = new Set<Deno.Conn>();

  private constructor(dir: string, monitor: FakeMonitor | null) {
    this.dir = dir;
    this.monitor = monitor;
    this.real = new LocalProcesses({ qemuBin: `${dir}/fake-qemu` });
  }

  static async make(script: string, monitor: FakeMonitor | null): Promise<FakeQemu> {
    const dir = await Deno.makeTempDir({ prefix: "banger-fake-" });
    await Deno.writeTextFile(`${dir}/fake-qemu`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    for (const name of ["run", "state"]) await Deno.mkdir(`${dir}/${name}`);
    return new FakeQemu(dir, monitor);
  }

  get spec(): MachineSpec {
    return {
      vmId: "00112233445566aa" as VmId,
      cpus: 1,
      memoryMib: 1,
      kernelPath: "/dev/null",
      initrdPath: null,
      commandLine: [],
      disks: [],
      network: null,
      runDir: `${this.dir}/run`,
      stateDir: `${this.dir}/state`,
      memoryPaths: { tmpfs: `${this.dir}/memory`, disk: `${this.dir}/memory.disk` },
      accelerator: "tcg",
      dropTo: null,
    };
  }

  async launch(spec: LaunchSpec): Promise<ProcessHandle> {
    const handle = await this.real.launch(spec);
    this.handles.push(handle);
    if (this.monitor !== null) {
      this.#listen("c", () => Promise.resolve());
      this.#listen("a", () => Promise.resolve());
      this.#listen("0", () => Promise.resolve());
      this.#listen("q", (connection) => this.#serve(connection, handle));
    }
    return handle;
  }

  alive(handle: ProcessHandle): Promise<boolean> {
    return this.real.alive(handle);
  }

  signal(handle: ProcessHandle, signal: "SIGTERM" | "SIGKILL"): Promise<boolean> {
    return this.real.signal(handle, signal);
  }

  exited(handle: ProcessHandle, signal: AbortSignal) {
    return this.real.exited(handle, signal);
  }

  /** Nothing of a VM is left: no process, socket or memory file. */
  async assertClean(): Promise<void> {
    for (const handle of this.handles) assert.equal(await this.real.alive(handle), false);
    assert.deepEqual([...Deno.readDirSync(`${this.dir}/run`)], []);
    await assert.rejects(Deno.stat(`${this.dir}/memory`), Deno.errors.NotFound);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    for (const connection of this.#connections) closeQuietly(connection);
    await Promise.all(this.#serving);
    for (const handle of this.handles) await this.real.signal(handle, "SIGKILL");
    await Promise.all(this.handles.map((it) => this.real.exited(it, new AbortController().signal)));
    await Deno.remove(this.dir, { recursive: true });
  }

  #listen(name: string, serve: (connection: Deno.Conn) => Promise<void>): void {
    const listener = Deno.listen({ transport: "unix", path: `${this.dir}/run/${name}` });
    this.#listeners.push(listener);
    const accepting = async () => {
      for await (const connection of listener) {
        this.#connections.add(connection);
        this.#serving.push(serve(connection));
      }
    };
    this.#serving.push(accepting().catch(() => {}));
  }

  async #serve(connection: Deno.Conn, handle: ProcessHandle): Promise<void> {
    const lines = new LineReader(4096);
    const buffer = new Uint8Array(4096);
    try {
      await connection.write(new TextEncoder().encode(this.monitor?.first ?? ""));
      for (;;) {
        const count = await connection.read(buffer);
        if (count === null) break;
        for (const line of lines.push(buffer.subarray(0, count))) {
          const { execute, id } = JSON.parse(line);
          const text = this.monitor?.answer(execute, id, handle) ?? null;
          if (text === null) return closeQuietly(connection);
          await connection.write(new TextEncoder().encode(text));
        }
      }
    } catch {
      // The driver hung up.
    }
    closeQuietly(connection);
  }
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}

const limits = {
  connectTimeoutMs: 300,
  commandTimeoutMs: 300,
  quitMs: 200,
  terminateMs: 300,
  killMs: 2_000,
  consoleDrainMs: 100,
};
const never = new AbortController().signal;
const stays = "exec sleep 60";

Deno.test("a VMM that ends at once is reported with its words, and nothing is left", async () => {
  await using fake = await FakeQemu.make("echo 'qemu: no such machine' >&2; exit 3", null);
  await assert.rejects(new QemuVmm(fake, limits).launch(fake.spec, never), (error) => {
    assert.ok(isBangerError(error, "internal"));
    assert.match(error.message, /exit code 3/);
    assert.match(error.detail ?? "", /no such machine/);
    return true;
  });
  await fake.assertClean();
});

Deno.test("a VMM that never opens its sockets is ended after a bounded wait", async () => {
  await using fake = await FakeQemu.make(stays, null);
  await assert.rejects(
    new QemuVmm(fake, limits).launch(fake.spec, never),
    (error) => isBangerError(error, "timeout"),
  );
  await fake.assertClean();
});

Deno.test("a monitor that breaks at any step fails the launch and leaves nothing", async () => {
  const broken: FakeMonitor[] = [
    { ...obedient, first: "garbage\n" },
    { ...obedient, first: "" },
    { ...obedient, answer: () => null },
    { ...obedient, answer: () => "" },
    { ...obedient, answer: (_command, id) => `{"error":{"desc":"no"},"id":${id}}\n` },
    {
      ...obedient,
      answer: (_command, _id, handle) => {
        Deno.kill(handle.pid, "SIGKILL");
        return "";
      },
    },
  ];
  for (const monitor of broken) {
    await using fake = await FakeQemu.make(stays, monitor);
    await assert.rejects(
      new QemuVmm(fake, limits).launch(fake.spec, never),
      (error) => isBangerError(error),
    );
    await fake.assertClean();
  }
});

Deno.test("cancelling at any moment of a launch leaves nothing", async () => {
  for (const afterMs of [0, 1, 3, 5, 8, 12, 20, 40]) {
    await using fake = await FakeQemu.make(stays, { ...obedient, first: "" });
    const cancel = new AbortController();
    setTimeout(() => cancel.abort(), afterMs);
    await assert.rejects(
      new QemuVmm(fake, { ...limits, commandTimeoutMs: 5_000 }).launch(fake.spec, cancel.signal),
      (error) => isBangerError(error, "cancelled"),
    );
    await fake.assertClean();
  }
});

Deno.test("a VMM that dies is noticed, and what it left is removed", async () => {
  await using fake = await FakeQemu.make(stays, obedient);
  const machine = await new QemuVmm(fake, limits).launch(fake.spec, never);
  assert.equal(await machine.state(), "running");
  Deno.kill(machine.handle.process.pid, "SIGKILL");
  const exit = await machine.ended;
  assert.equal(exit.signal, "SIGKILL");
  assert.equal(await machine.state(), "ended");
  await machine.kill();
  await assert.rejects(machine.openAgentLink(never), (e) => isBangerError(e, "unavailable"));
  await fake.assertClean();
});

Deno.test("a lane opens where the VM has it; where not, and after the end, that is told at once", async () => {
  const commands: string[] = [];
  const answer: FakeMonitor["answer"] = (command, id, process) => {
    commands.push(command);
    return obedient.answer(command, id, process);
  };
  await using fake = await FakeQemu.make(stays, { ...obedient, answer });
  const machine = await new QemuVmm(fake, limits).launch(fake.spec, never);
  for (let turn = 0; turn < 3; turn++) (await machine.openLane(0)).close();
  assert.equal(commands.filter((command) => command === "device_add").length, 1);
  const sinceMs = performance.now();
  for (const lane of [1, 6, -1]) {
    await assert.rejects(machine.openLane(lane), (e) => isBangerError(e, "unavailable"));
  }
  await machine.kill();
  await assert.rejects(machine.openLane(0), (e) => isBangerError(e, "unavailable"));
  assert.ok(performance.now() - sinceMs < 5_000);
  await fake.assertClean();
});

Deno.test("a VMM that ignores quit and SIGTERM is killed", async () => {
  await using fake = await FakeQemu.make("trap '' TERM; while :; do sleep 0.1; done", obedient);
  const machine = await new QemuVmm(fake, limits).launch(fake.spec, never);
  await Promise.all([machine.kill(), machine.kill()]);
  assert.equal((await machine.ended).signal, "SIGKILL");
  await fake.assertClean();
});

Deno.test("a VM outlives the daemon that started it, is adopted and ended by the next", async () => {
  await using fake = await FakeQemu.make(stays, obedient);
  const first = await new QemuVmm(fake, limits).launch(fake.spec, never);
  first.release();
  const handle = JSON.parse(JSON.stringify(first.handle));
  const second = await new QemuVmm(fake, limits).adopt(handle);
  assert.ok(second !== null);
  assert.equal(await second.state(), "running");
  await second.kill();
  await second.ended;
  await fake.assertClean();
  assert.equal(await new QemuVmm(fake, limits).adopt(handle), null);
});

Deno.test("a VM that is watched already is adopted as what it is, until it is let go of", async () => {
  await using fake = await FakeQemu.make(stays, obedient);
  const driver = new QemuVmm(fake, limits);
  const launched = await driver.launch(fake.spec, never);
  const again = await driver.adopt(JSON.parse(JSON.stringify(launched.handle)));
  assert.equal(again, launched);
  const { runDir: _, ...rest } = launched.handle;
  const elsewhere = await driver.adopt({ ...rest, runDir: `${fake.dir}/state` });
  assert.notEqual(elsewhere, launched);
  elsewhere?.release();
  launched.release();
  const released = await driver.adopt(launched.handle);
  assert.notEqual(released, launched);
  await released?.kill();
  await released?.ended;
  assert.equal(await driver.adopt(launched.handle), null);
  await fake.assertClean();
});

Deno.test("a handle of a recycled pid is nobody's VM", async () => {
  await using fake = await FakeQemu.make(stays, obedient);
  const machine = await new QemuVmm(fake, limits).launch(fake.spec, never);
  const { pid, startTicks } = machine.handle.process;
  const stranger = { ...machine.handle, process: { pid, startTicks: startTicks - 1 } };
  const other = { ...stranger, runDir: `${fake.dir}/state`, memoryPath: `${fake.dir}/none` };
  assert.equal(await new QemuVmm(fake, limits).adopt(other), null);
  assert.equal(await fake.alive(machine.handle.process), true);
  await machine.kill();
});
