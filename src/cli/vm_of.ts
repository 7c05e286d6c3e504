import type { OperationView } from "../api/operation.ts";
import type { VmView } from "../api/vm.ts";
import { BangerError } from "../model/errors.ts";

/**
 * The VM that a succeeded `vm.create` or `vm.start` made.
 *
 * @throws BangerError `internal` when the daemon answered something else
 */
export function vmOf(operation: OperationView): VmView {
  const { result } = operation;
  if (typeof result === "object" && result !== null && "vm" in result) {
    const { vm } = result;
    if (typeof vm === "object" && vm !== null && "name" in vm && "id" in vm) return vm as VmView;
  }
  throw new BangerError("internal", `Cannot use the result of ${operation.method}: it has no VM`);
}
