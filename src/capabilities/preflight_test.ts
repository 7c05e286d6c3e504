import assert from "node:assert/strict";
import type { BootSet, StartPlan } from "../services/vm/contract.ts";
import type { VmPaths } from "../paths/paths.ts";
import { machineStep } from "./machine.ts";
import { systemDiskStep } from "./system_disk.ts";
import { workDiskStep } from "./work_disk.ts";

/** What each capability misses for a VM whose files are below `dir`. */
async function missingIn(
  dir: string,
  given: Partial<StartPlan> = {},
  asked: { memory: number } = { memory: 0 },
): Promise<string[]> {
  const at = (file: string) => `${dir}/${file}`;
  const paths = {
    stateDir: at("vms/web"),
    workDisk: at("work.ext4"),
    memory: at("memory"),
    memoryOnDisk: at("memory"),
  } as VmPaths;
  const bootSet = {
    image: { name: "i", rootfsPath: at("rootfs") },
    kernel: { name: "k", vmlinuxPath: at("vmlinux"), initrdPath: at("initrd"), modulesPath: null },
    kitPath: at("kit"),
  } as BootSet;
  const steps = [
    systemDiskStep(),
    workDiskStep({ now: Date.now, randomHex: () => "" }),
    machineStep(
      {
        missing: () => Promise.resolve([{ what: "qemu is not installed", hint: "" }]),
        memoryProblem: (_paths: unknown, memoryMib: number) => {
          asked.memory++;
          return Promise.resolve(memoryMib > 1000 ? "no room for it" : null);
        },
      } as unknown as Parameters<typeof machineStep>[0],
    ),
  ];
  const plan: StartPlan = {
    ...{ name: "web", paths, memoryMib: 2000, workDiskBytes: 1, isNew: false, bootSet },
    needsRoom: true,
    ...given,
  };
  const found = await Promise.all(steps.map((step) => step.preflight?.(plan) ?? []));
  return found.flat().map(({ what }) => what.replaceAll(dir, ""));
}

async function inDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-preflight-" });
  try {
    await Deno.mkdir(`${dir}/vms`);
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("programs, memory, disks and files of image, kernel and kit are all looked for", () =>
  inDir(async (dir) => {
    assert.deepEqual(await missingIn(dir), [
      'image "i" has lost its file "/rootfs"',
      'its work disk "/work.ext4" is missing',
      "qemu is not installed",
      "no room for it",
      'kernel "k" has lost its file "/vmlinux"',
      'kernel "k" has lost its file "/initrd"',
      'the guest kit has lost its file "/kit"',
    ]);
    for (const file of ["rootfs", "work.ext4", "vmlinux", "initrd", "kit"]) {
      await Deno.writeTextFile(`${dir}/${file}`, "");
    }
    assert.deepEqual(await missingIn(dir, { memoryMib: 512 }), ["qemu is not installed"]);
  }));

Deno.test("of a VM that is yet to be made, and of one that lives for a command, only what counts", () =>
  inDir(async (dir) => {
    const fresh = { isNew: true, bootSet: null };
    assert.deepEqual(await missingIn(dir, fresh), ["qemu is not installed", "no room for it"]);
    const asked = { memory: 0 };
    const disposable = { ...fresh, needsRoom: false };
    assert.deepEqual(await missingIn(dir, disposable, asked), ["qemu is not installed"]);
    assert.equal(asked.memory, 0);
  }));
