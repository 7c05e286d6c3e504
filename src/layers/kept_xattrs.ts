import type { Xattr } from "../ext4/inode.ts";
import { canStore, xattrsFit } from "../ext4/xattrs.ts";
import type { Refuse } from "./refusal.ts";
import type { TarEntry } from "./tar_entry.ts";

const maxNameBytes = 255;
/** Labels belong to the host that made the layer, marks of overlayfs to how it stored it. */
const leftOut = /^(security\.selinux$|trusted\.overlay\.)/;

/**
 * The attributes of an entry that go into the image: not labels of the host that it was made on, not
 * those of namespaces that ext4 has no place for, nor what Linux refuses on that type of file.
 *
 * @throws BangerError `untrusted` when they are too large for ext4
 */
export function keptXattrs({ type, xattrs }: TarEntry, refuse: Refuse): readonly Xattr[] {
  if (xattrs.length === 0) return xattrs;
  const isPlain = type === "file" || type === "directory";
  const kept = xattrs.filter((xattr) => {
    const { name } = xattr;
    if (name.length > maxNameBytes || name.includes("\0")) {
      throw refuse("has an attribute whose name Linux cannot have", "IMAGE_UNSAFE_ENTRY");
    }
    if (leftOut.test(name) || !canStore(xattr)) return false;
    if (name.startsWith("user.")) return isPlain;
    if (name === "system.posix_acl_default") return type === "directory";
    return name !== "system.posix_acl_access" || type !== "symlink";
  });
  if (!xattrsFit(kept)) {
    throw refuse("has more extended attributes than ext4 can hold", "IMAGE_LIMIT");
  }
  return kept;
}
