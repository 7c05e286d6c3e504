/**
 * Row 9 of the benchmarks: `banger vm run --rm --no-workspace -- true`, image and kernel cached and
 * the daemon running, over raw QEMU that boots the same kernel, initrd and disks, without banger and
 * without a network, until the same marker: the agent has run `true`. The time until the agent's first
 * answer is shown beside it.
 *
 * usage: deno run --allow-all tests/bench/run_bench.ts [PAIRS]
 *
 * Needs build/bin/banger; pulls image and kernel the first time. Runs are interleaved.
 */
import { connectAgent } from "../../src/guest/agent_client.ts";
import { newId, type VmId } from "../../src/model/ids.ts";
import { Paths } from "../../src/paths/paths.ts";
import { LocalProcesses } from "../../src/process/local_processes.ts";
import { readTscFrequencyKhz } from "../../src/process/tsc_frequency.ts";
import { Store } from "../../src/store/store.ts";
import { createOverlay } from "../../src/vmm/qemu/qemu_img.ts";
import { QemuVmm } from "../../src/vmm/qemu/qemu_vmm.ts";
import type { Banger } from "../support/banger.ts";
import { withCachedBanger } from "../support/banger.ts";

const pairs = Math.max(7, Number(Deno.args[0] ?? 7));
const forever = new AbortController().signal;
const vmSize = { cpus: 2, memoryMib: 2048 };

await withCachedBanger(async (banger) => {
  const paths = new Paths({ uid: Deno.uid() ?? 0, home: banger.home });
  await run(banger);
  const files = bootFiles(paths);
  const tsc = await readTscFrequencyKhz();
  const ready: number[] = [];
  const raw: number[] = [];
  const runs: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const boot = await rawBoot(paths, files, tsc);
    ready.push(boot.readyMs);
    raw.push(boot.doneMs);
    runs.push(await run(banger));
  }
  const ratios = runs.map((ms, index) => ms / raw[index]!);
  report("raw QEMU until the agent answers", ready, "ms");
  report("raw QEMU until `true` has run", raw, "ms");
  report("banger vm run --rm -- true", runs, "ms");
  report("ratio to the agent's answer, by pair", runs.map((ms, index) => ms / ready[index]!), "×");
  report("ratio, by pair", ratios, "×");
  const ratio = median(ratios);
  say(`target 1.10 ×, aim 1.03 ×: ${ratio <= 1.1 ? "met" : "missed"} at ${ratio.toFixed(3)} ×`);
});

async function run(banger: Banger): Promise<number> {
  const startMs = performance.now();
  const args = ["vm", "run", "--rm", "--no-workspace", "--quiet", "--", "true"];
  await banger.ok(args, { timeoutMs: 600_000 });
  return performance.now() - startMs;
}

interface BootFiles {
  readonly kernel: string;
  readonly initrd: string | null;
  readonly modules: string | null;
  readonly rootfs: string;
  readonly rootBytes: number;
  readonly kit: string;
}

function bootFiles(paths: Paths): BootFiles {
  using store = Store.open(paths);
  const [kernel] = store.kernels.list();
  const [image] = store.images.list();
  if (kernel === undefined || image === undefined) throw new Error("nothing was pulled");
  const kits = [...Deno.readDirSync(paths.kitsDir)].filter(({ name }) => name.endsWith(".ext4"));
  const newest = kits.map(({ name }) => `${paths.kitsDir}/${name}`)
    .toSorted((a, b) => Number(Deno.statSync(b).mtime) - Number(Deno.statSync(a).mtime))[0];
  if (newest === undefined) throw new Error("no kit was built");
  return {
    kernel: kernel.vmlinuxPath,
    initrd: kernel.initrdPath,
    modules: kernel.modulesPath,
    rootfs: image.rootfsPath,
    rootBytes: image.virtualBytes,
    kit: newest,
  };
}

interface RawBoot {
  readonly readyMs: number;
  readonly doneMs: number;
}

/** The driver's own command line, without banger around it and without a network. */
async function rawBoot(paths: Paths, files: BootFiles, tsc: number | null): Promise<RawBoot> {
  const id = newId<VmId>();
  const vm = paths.vm(id);
  await using undo = new AsyncDisposableStack();
  for (const dir of [vm.stateDir, vm.runDir]) {
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    undo.defer(() => Deno.remove(dir, { recursive: true }));
  }
  await createOverlay(
    { path: vm.overlay, backingPath: files.rootfs, sizeBytes: files.rootBytes },
    forever,
  );
  const readOnly = { format: "raw", readOnly: true, backingPath: null } as const;
  const startMs = performance.now();
  const machine = await new QemuVmm(new LocalProcesses()).launch({
    ...vmSize,
    vmId: id,
    kernelPath: files.kernel,
    initrdPath: files.initrd,
    commandLine: [],
    disks: [
      {
        serial: "banger-root",
        path: vm.overlay,
        format: "qcow2",
        readOnly: false,
        backingPath: files.rootfs,
      },
      { serial: "banger-kit", path: files.kit, ...readOnly },
      ...(files.modules === null
        ? []
        : [{ serial: "banger-modules", path: files.modules, ...readOnly } as const]),
    ],
    network: null,
    runDir: vm.runDir,
    stateDir: vm.stateDir,
    memoryPaths: { tmpfs: vm.memory, disk: vm.memoryOnDisk },
    accelerator: "tcg",
    hostTscKhz: tsc,
    vsockCid: null,
    dropTo: null,
  }, forever);
  undo.defer(() => machine.kill());
  const session = await connectAgent(await machine.openAgentLink(forever), {
    fresh: true,
    nonce: "0".repeat(32),
    signal: forever,
    timeoutMs: 60_000,
  });
  const readyMs = performance.now() - startMs;
  const exec = { argv: ["true"], cwd: null, env: {}, user: null, stdin: false };
  const { stdout, stderr, exit } = session.exec(exec);
  await Promise.all([stdout.cancel(), stderr.cancel(), exit]);
  const doneMs = performance.now() - startMs;
  session.close();
  return { readyMs, doneMs };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function report(name: string, values: readonly number[], unit: string): void {
  const digits = unit === "×" ? 3 : 0;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  say(
    `${name.padEnd(38)} median ${median(values).toFixed(digits)} ${unit} ` +
      `(${low.toFixed(digits)} to ${high.toFixed(digits)})`,
  );
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
