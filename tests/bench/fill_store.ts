import type { VmId } from "../../src/model/ids.ts";
import type { VmRecord } from "../../src/model/vm.ts";
import type { Paths } from "../../src/paths/paths.ts";
import { Store } from "../../src/store/store.ts";

/** Fills the store of an owner whose daemon does not run with `count` stopped VMs that have disks. */
export function fillStore(paths: Paths, count: number): void {
  Deno.mkdirSync(paths.stateDir, { recursive: true, mode: 0o700 });
  using store = Store.open(paths);
  store.transaction(() => {
    for (let n = 0; n < count; n++) store.vms.insert(vmRecord(n));
  });
  for (const { id } of store.vms.list()) {
    const { stateDir, overlay } = paths.vm(id);
    Deno.mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    Deno.writeTextFileSync(overlay, "");
  }
}

function vmRecord(n: number): VmRecord {
  return {
    id: n.toString(16).padStart(16, "0") as VmId,
    config: {
      name: `vm-${n}`,
      image: "debian-bookworm",
      kernel: "debian-6.1-cloud",
      cpus: 2,
      memoryMib: 2048,
      diskBytes: 8 * 1024 ** 3,
      workDiskBytes: 0,
    },
    state: "stopped",
    failure: null,
    ephemeral: false,
    createdAtMs: 1_700_000_000_000 + n,
    startedAtMs: null,
    runtime: null,
    workspace: null,
    imageDefaults: true,
    imageDigest: `sha256:${"0".repeat(64)}`,
    labels: {},
    autoStopMs: null,
    command: null,
    published: [],
    autoPorts: false,
    kernelDigest: `sha256:${"0".repeat(64)}`,
  };
}
