import { exists } from "../files/exists.ts";
import { removeIfThere } from "../files/remove_if_there.ts";
import { isUnusedWorkDisk, unfinishedWorkDisk } from "../images/left_work_disk.ts";
import type { WorkDiskSpec } from "../images/work_disk.ts";
import { BangerError } from "../model/errors.ts";
import type { VmPaths } from "../paths/paths.ts";
import type { Missing, StartStep, WorkDisks } from "../services/vm/contract.ts";

/** What {@linkcode workDiskStep} needs. */
export interface WorkDiskDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** `bytes` random bytes in hexadecimal. */
  readonly randomHex: (bytes: number) => string;
}

/**
 * The disk that keeps the home directory when the system disk is thrown away. It is made once, when its VM
 * is: one that is missing later is the user's loss, which a new empty one would hide.
 */
export function workDiskStep(deps: WorkDiskDeps): StartStep {
  return {
    name: "work_disk",
    dependsOn: ["places"],
    preflight: async ({ name, paths, workDiskBytes, isNew }) => {
      if (isNew || workDiskBytes === 0 || await exists(paths.workDisk)) return [];
      return [missing(name ?? "", paths)];
    },
    async prepare(context) {
      const { vm, paths, isNew } = context;
      if (vm.config.workDiskBytes === 0 || await exists(paths.workDisk)) return;
      if (!isNew) {
        const { what, hint } = missing(vm.config.name, paths);
        throw new BangerError("precondition", `Cannot start VM "${vm.config.name}": ${what}`, {
          hint,
        });
      }
      const spec = specOf(deps, paths.workDisk, vm.config.workDiskBytes);
      const seed = context.bootSet.image.workSeed;
      const { copyWorkSeed, makeWorkDisk } = await loadWorkDisk();
      if (seed === null) await makeWorkDisk(spec);
      else await copyWorkSeed(seed.path, spec, context.signal);
    },
    start({ vm, paths, facts }) {
      if (vm.config.workDiskBytes > 0) {
        facts.disks.push({
          serial: "banger-work",
          path: paths.workDisk,
          format: "raw",
          readOnly: false,
          backingPath: null,
        });
      }
      return Promise.resolve();
    },
  };
}

/** The disks that {@linkcode workDiskStep} uses, while no machine has them. */
export function workDisks(deps: WorkDiskDeps): WorkDisks {
  return {
    make: async ({ workDisk }, sizeBytes) => {
      if (await exists(workDisk) && !await isUnusedWorkDisk(workDisk)) throw unknownDisk(workDisk);
      const { makeWorkDisk } = await loadWorkDisk();
      await makeWorkDisk(specOf(deps, workDisk, sizeBytes));
    },
    grow: async ({ workDisk }, sizeBytes) => {
      const { growWorkDisk } = await loadWorkDisk();
      await growWorkDisk(workDisk, sizeBytes);
    },
    isLeft: async ({ workDisk }) =>
      await exists(unfinishedWorkDisk(workDisk)) || await isUnusedWorkDisk(workDisk),
    drop: async ({ workDisk }) => {
      await removeIfThere(unfinishedWorkDisk(workDisk));
      if (await isUnusedWorkDisk(workDisk)) await removeIfThere(workDisk);
    },
  };
}

/** A writer of file systems, and node:crypto: a daemon whose VMs have no work disk does without both. */
function loadWorkDisk(): Promise<typeof import("../images/work_disk.ts")> {
  return import("../images/work_disk.ts");
}

function specOf(deps: WorkDiskDeps, path: string, sizeBytes: number): WorkDiskSpec {
  return { path, sizeBytes, uuid: deps.randomHex(16), nowMs: deps.now() };
}

/** As when the store of an earlier day was put back: nothing that somebody made is written over. */
function unknownDisk(path: string): BangerError {
  return new BangerError(
    "conflict",
    `Cannot make the work disk "${path}": one with files on it is there, which the VM does not know of`,
    { hint: `Move it away first: mv '${path}' '${path}.kept'` },
  );
}

function missing(vm: string, { workDisk }: VmPaths): Missing {
  return {
    what: `its work disk "${workDisk}" is missing`,
    hint: `Put it back, or: banger vm delete ${vm}`,
  };
}
