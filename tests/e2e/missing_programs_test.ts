/** Programs that VMs need are not there: all are named at once, before anything is downloaded. */
import assert from "node:assert/strict";
import { Banger } from "../support/banger.ts";
import { configure, freshTest, namesIn, needsRoot, refused } from "../support/end_to_end.ts";
import { MountNamespace } from "../support/mount_namespace.ts";

async function assertNothingPulled({ home }: Banger): Promise<void> {
  for (const dir of ["kernels", "images", "staging", "vms"]) {
    assert.deepEqual(await namesIn(`${home}/.local/state/banger/${dir}`), [], dir);
  }
}

freshTest(
  "a configured QEMU that is not there is told before anything is downloaded",
  async (banger) => {
    await configure(banger, 'qemu_bin = "/nonexistent"\n');
    const words =
      /Cannot start a VM here: \/nonexistent is not installed\n {2}hint: .*apt-get install/;
    await refused(banger, ["vm", "run", "--no-workspace", "--", "true"], 125, words);
    await refused(banger, ["vm", "create"], 5, words);
    await assertNothingPulled(banger);
  },
);

freshTest("everything that is missing is told at once", async (fresh) => {
  // The programs are looked for in fixed directories, so PATH alone hides nothing.
  await using namespace = await MountNamespace.make(
    "for name in passt qemu-img; do mount --bind /dev/null $(command -v $name); done",
  );
  const banger = new Banger(fresh.home, { via: namespace.via });
  try {
    await configure(banger, 'qemu_bin = "/nonexistent"\n');
    const words =
      /Cannot start a VM here: \/nonexistent is.*; qemu-img is.*; passt is not installed\n/;
    const { stderr } = await refused(banger, ["vm", "create"], 5, words);
    assert.match(stderr, /qemu-system/);
    assert.match(stderr, /qemu-utils/);
    assert.match(stderr, /install .*passt/);
    await assertNothingPulled(banger);
  } finally {
    await banger.close();
  }
}, needsRoot);
