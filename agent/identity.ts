import { identityFiles } from "../src/wire/identity_files.ts";
import {
  type Identity,
  identitySeedDir,
  identityStampFile,
  stewardFifo,
} from "../src/wire/messages.ts";
import type { AgentContext } from "./context.ts";
import { Failure } from "./failure.ts";
import { makeDirectory, readText, removeTree, tell, writeText } from "./files.ts";
import { sleep } from "./sleep.ts";
import { mountWorkDisk } from "./work_disk.ts";

/** How often, and how often at most, it is looked whether the identity of the initrd was applied. */
const lookMs = 5;
const looks = 2_000;

/**
 * Makes the guest who the host says it is. At a start that is done already, or nearly so: the same
 * identity came in the initrd, and the kit's init applies it while this program starts. Else (another
 * network, a guest whose kernel has no initrd, a second identity) the kit's `identify` is run here.
 *
 * @throws Failure `internal` when the kit's program fails
 */
export async function applyIdentity(
  context: AgentContext,
  identity: Identity,
): Promise<{ tookMs: number }> {
  const startMs = performance.now();
  // A step of less than a second is left to the clock that the kernel read when it started.
  const isClockOff = Math.abs(Date.now() - identity.clockMs) >= 1000;
  const clock = isClockOff ? `@${Math.round(identity.clockMs / 1000)}` : "";
  if (!await cameInInitrd(context.root, identity.stamp)) await identify(context, identity);
  // Before the ssh server: whoever logs in finds the home directory in its place.
  if (identity.workDisk !== null) await mountWorkDisk(context, identity.workDisk.user);
  // The second line: the ssh server has its keys.
  if (!tell(`${context.root}${stewardFifo}`, `${clock}\n`) && isClockOff) {
    await runKitTool(context, "bin/busybox", ["date", "-s", clock]);
  }
  const first = !context.isIdentified;
  context.isIdentified = true;
  if (first) context.onIdentity();
  return { tookMs: Math.round(performance.now() - startMs) };
}

/** Whether this identity came in the initrd, once it is applied. */
export async function cameInInitrd(root: string, stamp: string): Promise<boolean> {
  for (let look = 0; look < looks; look++) {
    if (readText(`${root}${identityStampFile}`)?.trim() === stamp) return true;
    if (readText(`${root}${identitySeedDir}/stamp`)?.trim() !== stamp) return false;
    await sleep(lookMs);
  }
  return false;
}

async function identify(context: AgentContext, identity: Identity): Promise<void> {
  const dir = `${context.root}${identitySeedDir}-${identity.stamp}`;
  makeDirectory(dir, 0o700);
  try {
    for (const { name, text, mode } of identityFiles(identity)) {
      writeText(`${dir}/${name}`, text, mode);
    }
    await runKitTool(context, "sbin/identify", [dir]);
  } finally {
    removeTree(dir);
  }
}

async function runKitTool(
  context: AgentContext,
  program: string,
  args: readonly string[],
): Promise<void> {
  const { success, code } = await new Deno.Command(`${context.kit}/${program}`, {
    args: [...args],
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    clearEnv: true,
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).output();
  if (!success) throw new Failure("internal", `${program} failed in the guest (${code})`);
}
