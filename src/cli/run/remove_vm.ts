import type { VmView } from "../../api/vm.ts";
import type { DaemonPort } from "../context.ts";
import { followOperation } from "../follow_operation.ts";
import type { StageView } from "../render/stage_view.ts";

/**
 * Deletes a VM of this run, running or not, as one stage, and waits until nothing of it is left.
 * Nothing cancels it: half a deletion helps nobody.
 */
export async function removeVm(client: DaemonPort, vm: VmView, view: StageView): Promise<void> {
  await view.stage("Deleting the VM", async () => {
    const { operationId } = await client.call("vm.delete", { vm: vm.id, force: true });
    await followOperation(client, operationId, () => {}, new AbortController().signal);
  });
}
