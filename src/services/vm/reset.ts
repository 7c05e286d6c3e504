import { BangerError, reasonOf } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import { silentReporter, type StageReporter } from "../../model/stages.ts";
import { activeStates, type VmRecord } from "../../model/vm.ts";
import type { BootSet } from "./contract.ts";
import { emptyFacts, lookedOver, requireVm } from "./start.ts";
import { prepareAll } from "./steps.ts";
import { defaultStopTimeoutMs, stopHeld } from "./stop.ts";
import type { VmServiceDeps } from "./vm_service.ts";

/** How a VM is reset. */
export interface ResetRequest {
  /** Another image, or the newest version of its own; `null`: the very one that it was made from. */
  readonly image: string | null;
  /** Also when it runs, which stops it, and when it has no work disk, so that nothing is kept. */
  readonly force: boolean;
}

/**
 * Throws a VM's system disk away and makes a fresh one from its image. Work disk, name, id, size, labels and host
 * key stay. Takes vmLock[id]; an image that is not here is pulled before.
 *
 * The intent is stored first, with the image that the disk is to be of. From then on the old disk is worth nothing, and
 * there is no way back: what was cut off is carried on at the next start of the daemon.
 *
 * @throws BangerError `conflict` while it runs and `precondition` without a work disk, unless `force`;
 * `precondition` when its image is gone, `not_found`, `exhausted`; what a pull throws
 */
export async function resetVm(
  deps: VmServiceDeps,
  id: VmId,
  request: ResetRequest,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<VmRecord> {
  const { image } = request;
  const other = image === null
    ? null
    : await otherImage(deps, id, { ...request, image }, reporter, signal);
  return await deps.locks.vm(id, signal, async () => {
    const vm = requireVm(deps, id, "reset");
    checkMayReset(vm, request);
    // Also the work disk, while there is a way back.
    const bootSet = await lookedOver(deps, vm, { other, needsRoom: false });
    if (activeStates.includes(vm.state)) {
      await stopHeld(
        deps,
        id,
        { timeoutMs: defaultStopTimeoutMs, force: false },
        reporter,
        signal,
      );
    }
    signal.throwIfAborted();
    const resetting = deps.store.update(id, {
      state: "resetting",
      failure: null,
      // A repository that was on the system disk is gone with it: commands must not begin there.
      workspace: vm.config.workDiskBytes > 0 ? vm.workspace : null,
      config: {
        ...vm.config,
        image: bootSet.image.name,
        kernel: bootSet.kernel.name,
        diskBytes: Math.max(vm.config.diskBytes, bootSet.image.virtualBytes),
      },
      imageDigest: bootSet.image.digest,
      kernelDigest: bootSet.kernel.digest,
    });
    return await reporter.stage(
      { id: "vm.reset", title: "Making a fresh system disk" },
      () => finishReset(deps, resetting, bootSet),
    );
  });
}

/**
 * Carries a reset on, from whatever point on: the caller holds vmLock[id], and the row says `resetting`. When the fresh disk
 * cannot be made, the old one is gone all the same, and the next start makes it.
 *
 * @throws BangerError whatever making the disk throws; `internal` when the old disk cannot be removed: the row still says
 * `resetting` then
 */
export async function finishReset(
  deps: VmServiceDeps,
  vm: VmRecord,
  bootSet?: BootSet,
): Promise<VmRecord> {
  const paths = deps.paths(vm.id);
  await deps.disks.remove(paths);
  try {
    await prepareAll(deps.steps, {
      vm,
      paths,
      bootSet: bootSet ?? await deps.bootSets.find(vm),
      isNew: false,
      facts: emptyFacts(),
      attempt: 1,
      gitIdentity: null,
      reporter: silentReporter,
      signal: new AbortController().signal,
    });
  } catch (error) {
    deps.store.update(vm.id, { state: "failed", failure: reasonOf(error) });
    throw error;
  }
  const state = vm.startedAtMs === null ? "created" : "stopped";
  return deps.store.update(vm.id, { state, failure: null });
}

function checkMayReset({ state, config }: VmRecord, { force }: ResetRequest): void {
  const { name } = config;
  if (state === "deleting") {
    throw new BangerError("conflict", `Cannot reset VM "${name}": it is being deleted`);
  }
  if (force) return;
  if (activeStates.includes(state)) {
    throw new BangerError("conflict", `Cannot reset VM "${name}": it is ${state}`, {
      hint: `banger vm stop ${name} first, or banger vm reset --force ${name}`,
    });
  }
  if (config.workDiskBytes > 0) return;
  throw new BangerError(
    "precondition",
    `Cannot reset VM "${name}": it has no work disk, so that nothing in it would be kept`,
    {
      hint: `banger vm set ${name} --work-disk 8G gives it one, which keeps its home directory; ` +
        `banger vm reset --force ${name} throws everything away`,
    },
  );
}

/** The boot set with the image that was asked for; a kernel that the user had chosen stays. */
async function otherImage(
  deps: VmServiceDeps,
  id: VmId,
  request: ResetRequest & { readonly image: string },
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<BootSet> {
  const vm = requireVm(deps, id, "reset");
  // So that a refusal costs no download; asked again under the lock, where nothing is under way.
  checkMayReset(vm, request);
  const { kernel } = vm.config;
  // Of an image that is gone nobody knows any more which kernel was its own.
  const own = await deps.bootSets.find(vm).then((it) => it.image.kernel, () => kernel);
  return await deps.bootSets.ensure(
    request.image,
    own === kernel ? null : kernel,
    reporter,
    signal,
  );
}
