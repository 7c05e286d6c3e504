import {
  copyWorkSeed,
  growWorkDisk,
  makeWorkDisk,
  type WorkDiskSpec,
} from "../images/work_disk.ts";
import { BangerError } from "../model/errors.ts";
import type { StartStep, StepContext, WorkDisks } from "../services/vm/contract.ts";

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
    async prepare(context) {
      const { vm, paths, isNew } = context;
      if (vm.config.workDiskBytes === 0 || await exists(paths.workDisk)) return;
      if (!isNew) throw missing(context);
      const spec = specOf(deps, paths.workDisk, vm.config.workDiskBytes);
      const seed = context.bootSet.image.workSeed;
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
    make: ({ workDisk }, sizeBytes) => makeWorkDisk(specOf(deps, workDisk, sizeBytes)),
    grow: ({ workDisk }, sizeBytes) => growWorkDisk(workDisk, sizeBytes),
  };
}

function specOf(deps: WorkDiskDeps, path: string, sizeBytes: number): WorkDiskSpec {
  return { path, sizeBytes, uuid: deps.randomHex(16), nowMs: deps.now() };
}

function missing({ vm, paths }: StepContext): BangerError {
  const { name } = vm.config;
  return new BangerError(
    "precondition",
    `Cannot start VM "${name}": its work disk "${paths.workDisk}" is missing`,
    { code: "WORK_DISK_MISSING", hint: `Put it back, or: banger vm delete ${name}` },
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return false;
    throw cause;
  }
}
