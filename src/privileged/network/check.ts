import { BangerError } from "../../model/errors.ts";
import { isId, type VmId } from "../../model/ids.ts";
import { type NetworkPolicy, reaches } from "../contract.ts";

/** The VM that a caller means, who may be anybody. @throws BangerError `invalid` */
export function checkVm(vm: unknown): VmId {
  if (typeof vm === "string" && isId(vm)) return vm as VmId;
  throw new BangerError(
    "invalid",
    "Cannot change a VM's network: its id is not 16 hexadecimal digits",
  );
}

/** The policy that a caller wants, who may be anybody: a copy with nothing else in it. @throws BangerError `invalid` */
export function checkPolicy(policy: unknown): NetworkPolicy {
  const { reach, peers } = (policy ?? {}) as Partial<Record<keyof NetworkPolicy, unknown>>;
  const known = reaches.find((one) => one === reach);
  if (known !== undefined && typeof peers === "boolean") return { reach: known, peers };
  throw new BangerError(
    "invalid",
    `Cannot change a VM's network: its reach is one of ${reaches.join(", ")}, and peers yes or no`,
  );
}
