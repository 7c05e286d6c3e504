import { isId, type VmId } from "../model/ids.ts";

/** Ids of the VMs that have a directory in `vmsDir`; other names in there are left alone. */
export function vmIdsOnDisk(vmsDir: string): readonly VmId[] {
  const ids: VmId[] = [];
  for (const { name, isDirectory } of Deno.readDirSync(vmsDir)) {
    if (isDirectory && isId(name)) ids.push(name as VmId);
  }
  return ids;
}
