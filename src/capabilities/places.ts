/**
 * The start steps of a VM, one capability a file; `list.ts` puts them in order.
 *
 * Each is a small value with hooks (see `services/vm/contract.ts`) and explicit dependencies. A
 * step knows other steps only by the facts they leave. Must not import the daemon, the store or
 * another service.
 */
import type { VmId } from "../model/ids.ts";
import type { VmPaths } from "../paths/paths.ts";
import type { StartStep } from "../services/vm/contract.ts";

/** User and group of a VM's processes; `null` when they run as the daemon's own user. */
export type VmOwner = { readonly uid: number; readonly gid: number } | null;

/** The VM's directories: state (kept while it exists) and sockets (while it runs). */
export function placesStep(ownerOf: (vm: VmId) => VmOwner): StartStep {
  return {
    name: "places",
    dependsOn: [],
    async prepare({ paths }) {
      await Deno.mkdir(paths.stateDir, { recursive: true, mode: 0o700 });
    },
    async start({ vm, paths }) {
      await removeTree(paths.runDir);
      await Deno.mkdir(paths.runDir, { mode: 0o700 });
      const owner = ownerOf(vm.id);
      if (owner !== null) await Deno.chown(paths.runDir, owner.uid, owner.gid);
    },
    stop: (_vm, paths) => removeTree(paths.runDir),
    cleanup: async (_vm: VmId, paths: VmPaths) => {
      await removeTree(paths.runDir);
      await removeTree(paths.stateDir);
    },
  };
}

async function removeTree(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
