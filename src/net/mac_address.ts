import type { VmId } from "../model/ids.ts";

/** A MAC address in lower case with colons. */
export type MacAddress = string;

/**
 * The MAC address of the VM `id`: locally administered, unicast (IEEE 802, 8.4), the same at every
 * start. Its 40 free bits are the first of the id, which is random.
 */
export function macAddressOf(id: VmId): MacAddress {
  const octets = ["02"];
  for (let at = 0; at < 10; at += 2) octets.push(id.slice(at, at + 2));
  return octets.join(":");
}
