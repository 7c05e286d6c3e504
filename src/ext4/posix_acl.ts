const attributeVersion = 2;
const diskVersion = 1;
const userTag = 0x02;
const groupTag = 0x08;

/**
 * An access control list as ext4 stores it, out of the value that programs see in
 * `system.posix_acl_access`: only named users and groups keep an id (kernel: `fs/ext4/acl.c`).
 *
 * @returns `undefined` when `value` is not such a list
 */
export function aclOnDisk(value: Uint8Array): Uint8Array | undefined {
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  if (value.length < 4 || (value.length - 4) % 8 !== 0) return undefined;
  if (view.getUint32(0, true) !== attributeVersion) return undefined;
  const bytes: number[] = [diskVersion, 0, 0, 0];
  for (let at = 4; at < value.length; at += 8) {
    const tag = view.getUint16(at, true);
    const isNamed = tag === userTag || tag === groupTag;
    bytes.push(...value.subarray(at, at + (isNamed ? 8 : 4)));
  }
  return Uint8Array.from(bytes);
}
