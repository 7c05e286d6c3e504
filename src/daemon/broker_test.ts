import assert from "node:assert/strict";
import { isBangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";
import { examineRootfs } from "../images/examine_rootfs.ts";
import { Paths } from "../paths/paths.ts";
import type { RunFlattener } from "../layers/apart/flatten_apart.ts";
import type { FlattenJob } from "../layers/apart/flatten_job.ts";
import type { HostProcesses, LaunchSpec } from "../process/host_processes.ts";
import { assertNarrow, forbidden } from "./assert_narrow.ts";
import { BrokerClient } from "./broker_client.ts";
import type { FromWorker, ToWorker } from "./broker_protocol.ts";
import { BrokerServer } from "./broker_server.ts";
import type { MemoryFiles } from "../vmm/memory_file.ts";
import type { BrokerHost } from "./host_facts.ts";
import { LaunchPolicy } from "./launch_policy.ts";
import { LocalHost } from "./local_host.ts";

const handle = { pid: 4242, startTicks: 7 };
/** Of a VM that an earlier daemon launched. */
const adopted = { pid: 4343, startTicks: 8 };
const tick = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

/** A broker whose host is made up, and the Worker's side of it; messages are cloned on the way. */
function fixture(paths: Paths) {
  const launched: LaunchSpec[] = [];
  const removed: string[] = [];
  const signalled: number[] = [];
  let waits = 0;
  const processes: HostProcesses = {
    launch: (spec) => Promise.resolve((launched.push(spec), handle)),
    alive: () => Promise.resolve(true),
    signal: ({ pid }) => Promise.resolve((signalled.push(pid), false)),
    exited: (_, signal) =>
      new Promise((_, reject) => {
        waits++;
        signal.addEventListener("abort", () => (waits--, reject(signal.reason)));
      }),
  };
  const host: BrokerHost = {
    bootId: () => Promise.resolve("boot"),
    vmProcesses: () => Promise.resolve([{ run: "0123456789ab", program: "qemu", handle: adopted }]),
    sealDescriptors: () => Promise.resolve(),
    vmmDevice: () => Promise.resolve({ state: "absent", reason: "none", hint: null }),
    vmmGroups: () => Promise.resolve([104]),
    peerUids: () => Promise.reject(new Error("no FFI")),
    rootfsFile: (path) => examineRootfs(path),
  };
  const post = (message: ToWorker) => void client.accept(structuredClone(message));
  const memory: MemoryFiles = {
    make: ({ tmpfs }) => Promise.resolve(tmpfs),
    problem: ({ tmpfs }, memoryMib) => Promise.resolve(`${tmpfs} ${memoryMib}`),
    remove: (path) => Promise.resolve(void removed.push(path)),
  };
  const policy = new LaunchPolicy(paths);
  const flattened: FlattenJob[] = [];
  const flatten: RunFlattener = async (job, onText, signal) => {
    flattened.push(job);
    onText("one\n");
    await tick();
    onText("two\n");
    if (job.file === "endless") {
      await new Promise((_, reject) =>
        signal.addEventListener("abort", () => tick().then(() => reject(signal.reason)))
      );
    }
    return { code: 3, stderr: "words" };
  };
  const server = new BrokerServer({ processes, host, memory, flatten, policy }, post);
  const client: BrokerClient = new BrokerClient((message: FromWorker) => {
    const copy = structuredClone(message);
    if (copy.type === "call") server.call(copy);
    if (copy.type === "withdraw") server.withdraw(copy.id);
  });
  return { client, server, launched, removed, flattened, waits: () => waits, signalled };
}

async function withPaths(uid: number, body: (paths: Paths) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir();
  try {
    const paths = new Paths({ uid, home, xdgRuntimeDir: `${home}/r` });
    for (const dir of [paths.vmsDir, paths.cacheDir]) await Deno.mkdir(dir, { recursive: true });
    const runs = Object.create(paths, {
      runtimeDir: { value: `${home}/run` },
    }) as Paths;
    await Deno.mkdir(runs.runtimeDir);
    await body(runs);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

function spec(paths: Paths, change: Partial<LaunchSpec> = {}): LaunchSpec {
  return {
    program: "qemu",
    args: ["-M", "microvm"],
    files: [],
    dropTo: paths.uid === 0 ? { uid: 65534, gid: 65534 } : null,
    stderrPath: `${paths.vmsDir}/stderr`,
    ...change,
  };
}

Deno.test("calls cross to the broker and back, failures with their kind", async () => {
  await withPaths(7, async (paths) => {
    const { client, launched, waits } = fixture(paths);
    assert.deepEqual(await client.launch(spec(paths)), handle);
    assert.deepEqual(launched, [spec(paths)]);
    assert.equal(await client.alive(handle), true);
    assert.equal(await client.signal(handle, "SIGKILL"), false);
    assert.equal(await client.bootId(), "boot");
    assert.equal((await client.vmmDevice("/dev/kvm")).state, "absent");
    await assert.rejects(client.peerUids(), (e) => isBangerError(e, "internal"));
    const stop = new AbortController();
    const wait = client.exited(handle, stop.signal);
    await tick();
    assert.equal(waits(), 1);
    stop.abort(new Error("enough"));
    await assert.rejects(wait, /enough/);
    assert.equal(waits(), 0);
  });
});

Deno.test("only what was launched, or runs for a VM as the kernel says, is signalled", async () => {
  await withPaths(7, async (paths) => {
    const { client, signalled } = fixture(paths);
    for (
      const one of [handle, adopted, { ...adopted, startTicks: 9 }, { pid: 1234, startTicks: 7 }]
    ) {
      await client.signal(one, "SIGTERM");
    }
    assert.deepEqual(signalled, [adopted.pid]);
    await client.launch(spec(paths));
    await client.signal(handle, "SIGKILL");
    await client.signal({ ...handle, startTicks: 8 }, "SIGKILL");
    assert.deepEqual(signalled, [adopted.pid, handle.pid]);
  });
});

Deno.test("a hostile Worker gets nothing launched or signalled", async () => {
  await withPaths(7, async (paths) => {
    const { client, launched } = fixture(paths);
    await Deno.symlink("/etc", `${paths.vmsDir}/link`);
    const disk = `${paths.home}/disk`;
    await run("mkfs.ext4", ["-q", "-F", disk, "8M"], { timeoutMs: 20_000 });
    await Deno.writeTextFile(`${paths.home}/text`, "no disk\n");
    const hostile: readonly (readonly [string, object])[] = [
      ["a file outside", { files: [{ path: "/etc/passwd", access: "read" }] }],
      ["a file by ..", { files: [{ path: `${paths.vmsDir}/../../../x`, access: "read" }] }],
      ["a symlink out", { files: [{ path: `${paths.vmsDir}/link/passwd`, access: "read" }] }],
      ["a disk that is none", { files: [{ path: `${paths.home}/text`, access: "read" }] }],
      ["writing to a disk outside", { files: [{ path: disk, access: "read_write" }] }],
      ["a disk for passt", { program: "passt", files: [{ path: disk, access: "read" }] }],
      ["no such file", { files: [{ path: `${paths.vmsDir}/none`, access: "read" }] }],
      ["a relative file", { files: [{ path: "x", access: "read" }] }],
      ["another device", { files: [{ path: "/dev/sda", access: "read_write" }] }],
      ["stderr outside", { stderrPath: "/etc/x" }],
      ["stderr through a symlink", { stderrPath: `${paths.vmsDir}/link/x` }],
      ["another user", { dropTo: { uid: 0, gid: 0 } }],
      ["groups of its own", { dropTo: { uid: 7, gid: 7, groups: [6] } }],
      ["another program", { program: "/bin/sh" }],
      ["a NUL", { args: ["a\0b"] }],
      ["too many words", { args: Array.from({ length: 600 }, () => "a") }],
      ["more fields", { env: { LD_PRELOAD: "x" } }],
      ["a wrong access", { files: [{ path: `${paths.vmsDir}`, access: "write" }] }],
    ];
    for (const [what, change] of hostile) {
      await assert.rejects(
        client.launch({ ...spec(paths), ...change } as LaunchSpec),
        (e) => isBangerError(e),
        what,
      );
    }
    assert.deepEqual(launched, []);
    for (const pid of [1, 0, -1, 1.5]) {
      await assert.rejects(client.signal({ ...handle, pid }, "SIGKILL"), (e) => isBangerError(e));
    }
    await assert.rejects(client.signal(handle, "SIGSTOP" as "SIGKILL"), (e) => isBangerError(e));
  });
});

Deno.test("a root disk that the user has elsewhere is told of, and launched to be read", async () => {
  await withPaths(7, async (paths) => {
    const { client, launched } = fixture(paths);
    const path = `${paths.home}/disk`;
    await run("mkfs.ext4", ["-q", "-F", path, "8M"], { timeoutMs: 20_000 });
    const file = await client.rootfsFile(path);
    assert.equal(file.path, await Deno.realPath(path));
    assert.equal(file.bytes, 8 * 1024 ** 2);
    await client.launch(spec(paths, { files: [{ path, access: "read" }] }));
    assert.equal(launched.length, 1);
    await assert.rejects(client.rootfsFile("/etc/passwd"), (e) => isBangerError(e, "invalid"));
    await assert.rejects(client.rootfsFile("disk"), (e) => isBangerError(e, "invalid"));
  });
});

Deno.test("root's VMMs must drop to an ordinary user", async () => {
  await withPaths(0, async (paths) => {
    const policy = new LaunchPolicy(paths);
    await policy.check(spec(paths));
    for (const dropTo of [null, { uid: 0, gid: 0 }, { uid: 65534, gid: 0 }, { uid: 33, gid: 33 }]) {
      await assert.rejects(policy.check(spec(paths, { dropTo })), /root/);
    }
  });
});

Deno.test("root's QEMU gets the groups of the devices, as the broker sees them, and passt none", async () => {
  await withPaths(0, async (paths) => {
    const { client, launched } = fixture(paths);
    const dropTo = { uid: 65534, gid: 65534 };
    await client.launch(spec(paths));
    await client.launch(spec(paths, { program: "passt" }));
    assert.deepEqual(launched.map((one) => one.dropTo), [{ ...dropTo, groups: [104] }, dropTo]);
    const named = { dropTo: { ...dropTo, groups: [6] } };
    await assert.rejects(client.launch(spec(paths, named)), (e) => isBangerError(e, "invalid"));
    assert.equal(launched.length, 2);
  });
});

Deno.test("the net filter gets sockets of a VM's run directory, and a MAC, or is not launched", async () => {
  await withPaths(7, async (paths) => {
    const { client, launched } = fixture(paths);
    const [run, mac] = [`${paths.runtimeDir}/0123456789ab`, "02:00:00:00:00:01"];
    const filter = (...args: string[]) =>
      client.launch(spec(paths, { program: "net_filter", args }));
    await filter(`${run}/f`, `${run}/n`, mac);
    assert.equal(launched.length, 1);
    const hostile = [
      [],
      [`${run}/f`, `${run}/n`],
      [`${run}/f`, `${run}/n`, mac, "--allow-all"],
      [`${run}/f`, `${run}/n`, "-"],
      [`${run}/f`, "/run/user/7/bus", mac],
      [`${run}/f`, `${run}/../../x/n`, mac],
      [`${run}/f,/etc`, `${run}/n`, mac],
      [`${run}/f`, `${run}`, mac],
      [`${paths.runtimeDir}/f`, `${run}/n`, mac],
      ["", `${run}/n`, mac],
    ];
    for (const args of hostile) {
      await assert.rejects(
        filter(...args),
        (e) => isBangerError(e, "precondition"),
        args.join(" "),
      );
    }
    assert.equal(launched.length, 1);
  });
});

Deno.test("memory files have one name each, and belong to whom a VMM may become", async () => {
  await withPaths(0, async (paths) => {
    const { client, removed } = fixture(paths);
    const id = "0123456789abcdef";
    const good = { tmpfs: `${paths.memoryDir}/${id}`, disk: `${paths.vmsDir}/${id}/memory` };
    const owner = { uid: 1_900_000_001, gid: 1_900_000_001 };
    assert.equal(await client.make(good, 64, owner), good.tmpfs);
    await client.remove(good.disk);
    assert.deepEqual(removed, [good.disk]);
    const refused = (call: Promise<unknown>) =>
      assert.rejects(call, (e) => isBangerError(e, "precondition"));
    for (
      const path of [
        "/etc/passwd",
        `${paths.memoryDir}/../x`,
        `${paths.memoryDir}/${id}/y`,
        `${paths.vmsDir}/${id}/overlay.qcow2`,
        `${paths.vmsDir}/../${id}/memory`,
      ]
    ) {
      await refused(client.remove(path));
      await refused(client.make({ ...good, tmpfs: path }, 64, owner));
      await refused(client.make({ ...good, disk: path }, 64, owner));
    }
    await refused(client.make(good, 64, { uid: 0, gid: owner.gid }));
    assert.equal(removed.length, 1);
  });
});

Deno.test("the users at the other ends of the daemon's socket are told, of no other", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/d`;
  const host = new LocalHost(1000, path);
  const ours = Deno.listen({ transport: "unix", path });
  const others = Deno.listen({ transport: "unix", path: `${path}x` });
  const open: Disposable[] = [ours, others];
  try {
    open.push(await Deno.connect({ transport: "unix", path: `${path}x` }), await others.accept());
    assert.deepEqual(await host.peerUids(), [], "a listener is nobody's connection");
    open.push(await Deno.connect({ transport: "unix", path }), await ours.accept());
    assert.deepEqual(await host.peerUids(), [Deno.uid()]);
    assert.match(await host.bootId(), /^[0-9a-f-]{36}$/);
    assert.match((await host.vmmDevice("/dev/kvm")).state, /^(absent|denied|openable)$/);
  } finally {
    for (const one of open) one[Symbol.dispose]();
    host.close();
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a thread that is not narrow refuses to serve, and every wall is looked at", () => {
  const paths = new Paths({ uid: 7, home: "/h" });
  const open = forbidden(paths).filter(({ probe }) => probe()).map(({ name }) => name);
  assert.ok(open.includes("call native code") && open.includes("see HOME"), open.join());
  assert.throws(() => assertNarrow(paths), (e) => isBangerError(e) && e.code === "NOT_NARROW");
});

const digest = `sha256:${"0a".repeat(32)}` as const;
const job: FlattenJob = {
  staging: "image-4f",
  file: "rootfs.ext4",
  purpose: "rootfs",
  layers: [{ digest, diffId: digest, size: 9 }],
  sizeBytes: 2 ** 33,
  uuid: "0".repeat(32),
  madeSeconds: -1,
};

Deno.test("an image is unpacked by name only; what its process says comes back", async () => {
  await withPaths(1000, async (paths) => {
    const { client, flattened } = fixture(paths);
    const said: string[] = [];
    const never = new AbortController().signal;
    const end = await client.flatten(job, (text) => said.push(text), never);
    assert.deepEqual([end, said], [{ code: 3, stderr: "words" }, ["one\n", "two\n"]]);
    assert.deepEqual(flattened, [job]);
    const hostile: readonly Record<string, unknown>[] = [
      ...["..", ".", "", "a/b", "../x", "/etc", "a\0", "-x", "a".repeat(101)].flatMap((name) => [
        { staging: name },
        { file: name },
      ]),
      ...["sha256:../../x", `sha256:${"0".repeat(63)}/`, "md5:00", 7, null].flatMap((bad) => [
        { layers: [{ digest: bad, diffId: digest, size: 9 }] },
        { layers: [{ digest, diffId: bad, size: 9 }] },
      ]),
      { layers: [{ digest, diffId: digest, size: 9, path: "/etc/shadow" }] },
      { layers: [{ digest, diffId: digest, size: -1 }] },
      { layers: Array.from({ length: 501 }, () => job.layers[0]) },
      ...[-1, 1.5, "8"].map((sizeBytes) => ({ sizeBytes })),
      { uuid: "0".repeat(31) },
      { madeSeconds: 0.5 },
      { purpose: "/etc" },
      { out: "/etc/passwd" },
    ];
    for (const change of hostile) {
      await assert.rejects(
        client.flatten({ ...job, ...change } as FlattenJob, () => {}, never),
        (error) => isBangerError(error, "invalid"),
        JSON.stringify(change),
      );
    }
    assert.equal(flattened.length, 1);
  });
});

Deno.test("who stops an unpacking hears of it when its process is gone", async () => {
  await withPaths(1000, async (paths) => {
    const { client } = fixture(paths);
    const stop = new AbortController();
    let gone = false;
    const running = client.flatten({ ...job, file: "endless" }, () => {}, stop.signal)
      .catch((error) => (gone = true, error));
    await tick();
    await tick();
    assert.equal(gone, false);
    stop.abort();
    assert.equal(gone, false);
    assert.ok(isBangerError(await running, "cancelled"));
    await assert.rejects(client.flatten(job, () => {}, AbortSignal.abort()));
  });
});
