import { isId, type VmId } from "../model/ids.ts";

/** Ids of the VMs that have a directory in `vmsDir`; other names in there are left alone. */
export async function vmIdsOnDisk(vmsDir: string): Promise<readonly VmId[]> {
  const ids: VmId[] = [];
  for await (const { name, isDirectory } of Deno.readDir(vmsDir)) {
    if (isDirectory && isId(name)) ids.push(name as VmId);
  }
  return ids;
}
