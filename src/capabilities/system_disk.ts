import { removeIfThere } from "../files/remove_if_there.ts";
import { exists } from "../files/exists.ts";
import type { VmPaths } from "../paths/paths.ts";
import type { BootSet, Missing, StartStep, VmDisks } from "../services/vm/contract.ts";
import { growOverlay } from "../vmm/qemu/grow_overlay.ts";
import { createOverlay } from "../vmm/qemu/qemu_img.ts";
import { missingFile } from "./missing_file.ts";

/**
 * The VM's disks: an overlay of its own over the image, which is never written, and the shared
 * read-only disks of kit and kernel modules.
 */
export function systemDiskStep(): StartStep {
  return {
    name: "system_disk",
    dependsOn: ["places"],
    preflight: async ({ name, paths, bootSet, needsRoom }) => {
      const found = await Promise.all([
        needsRoom ? missingSpace(paths) : [],
        bootSet === null ? [] : missingImage(bootSet, name),
      ]);
      return found.flat();
    },
    async prepare({ vm, paths, bootSet, signal }) {
      if (await exists(paths.overlay)) return;
      await createOverlay({
        path: paths.overlay,
        backingPath: bootSet.image.rootfsPath,
        sizeBytes: vm.config.diskBytes,
      }, signal);
    },
    start({ paths, bootSet, facts }) {
      facts.disks.push({
        serial: "banger-root",
        path: paths.overlay,
        format: "qcow2",
        readOnly: false,
        backingPath: bootSet.image.rootfsPath,
      }, {
        serial: "banger-kit",
        path: bootSet.kitPath,
        format: "raw",
        readOnly: true,
        backingPath: null,
      });
      const { modulesPath } = bootSet.kernel;
      if (modulesPath !== null) {
        facts.disks.push({
          serial: "banger-modules",
          path: modulesPath,
          format: "raw",
          readOnly: true,
          backingPath: null,
        });
      }
      return Promise.resolve();
    },
  };
}

/** The disks that {@linkcode systemDiskStep} makes, while no machine has them. */
export const systemDisks: VmDisks = {
  has: ({ overlay }) => exists(overlay),
  remove: async ({ overlay, stateDir }) => {
    await removeIfThere(overlay);
    // An old disk that comes back with the host's power would be one over another image.
    using dir = await Deno.open(stateDir);
    await dir.sync();
  },
  grow: ({ overlay }, sizeBytes, signal) => growOverlay(overlay, sizeBytes, signal),
};

function missingImage({ image }: BootSet, vm: string | null): Promise<Missing[]> {
  const fresh = vm === null ? "" : `; then banger vm reset --force --image ${image.name} ${vm}`;
  const hint = `banger image pull ${image.name} --refresh${fresh}`;
  return missingFile(`image "${image.name}"`, image.rootfsPath, hint);
}

/** Below this not even the files of a start have room, and what the guest writes first is lost. */
const leastFreeBytes = 64 * 1024 ** 2;

async function missingSpace({ stateDir }: VmPaths): Promise<Missing[]> {
  const { statfs } = await import("node:fs/promises");
  const dir = stateDir.slice(0, stateDir.lastIndexOf("/"));
  const { bavail, bsize } = await statfs(dir);
  const freeMib = Math.floor(bavail * bsize / 1024 ** 2);
  if (freeMib * 1024 ** 2 >= leastFreeBytes) return [];
  const hint = "Free some space there: banger image prune, banger vm list";
  return [{ what: `"${dir}" has ${freeMib} MiB left`, hint }];
}
