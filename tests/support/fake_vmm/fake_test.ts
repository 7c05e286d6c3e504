import assert from "node:assert/strict";
import { Banger, isBuilt } from "../banger.ts";
import { guestProcesses, namesIn, until, type VmFacts, vmsOf } from "../end_to_end.ts";
import { skipUnless } from "../require.ts";
import { FakeHome } from "./fake_home.ts";
import { canCompile } from "./fake_vmm.ts";

const hasCompiler = await canCompile();

/** A test through the built program whose VMs run in the fake VMM, in a home of its own. */
export function fakeVmTest(
  name: string,
  body: (banger: Banger, fake: FakeHome) => Promise<void>,
  ...settings: readonly string[]
): void {
  const ignore = skipUnless(name, isBuilt(), "build/bin/banger is not built") ||
    skipUnless(name, hasCompiler, "gcc is not installed");
  Deno.test({ name, ignore, fn: () => withFakeVms(body, ...settings) });
}

/** Runs `body` with a home of its own whose VMs run in the fake VMM. */
export async function withFakeVms(
  body: (banger: Banger, fake: FakeHome) => Promise<void>,
  ...settings: readonly string[]
): Promise<void> {
  await using fake = await FakeHome.make(...settings);
  const banger = new Banger(fake.home);
  try {
    await body(banger, fake);
  } finally {
    await fake.vmm.behave();
    await banger.close();
  }
}

/** Checks that a VM which does not run has nothing on the host but its own directory. */
export async function nothingRuns(banger: Banger, { paths }: FakeHome): Promise<void> {
  await until("no process is left", async () => (await guestProcesses(banger)).length === 0, 3_000);
  assert.deepEqual(await namesIn(paths.memoryDir), [], "memory files");
  const isSocketDir = (name: string) => /^[0-9a-f]{12}$/.test(name);
  assert.deepEqual((await namesIn(paths.runtimeDir)).filter(isSocketDir), [], "socket directories");
}

/** The only VM. */
export async function onlyVm(banger: Banger): Promise<VmFacts> {
  const [vm, ...more] = await vmsOf(banger);
  assert.ok(vm !== undefined && more.length === 0);
  return vm;
}
