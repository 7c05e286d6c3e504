import type { ImageRecipe } from "./image_recipe.ts";
import { treeScript } from "./tree_script.ts";

/** Printed to stderr when the tree is complete and the file system is about to be written. */
export const writeMarker = "banger: writing the file system";

/** Where the tree is made: every system has this directory, and only the build sees what is on it. */
const workMount = "/mnt";

/** Features, not left to the host's mke2fs.conf: all are known to the oldest kernel and tools used. */
const ext4Features = [
  ...["has_journal", "ext_attr", "resize_inode", "dir_index", "filetype", "extent", "64bit"],
  ...["flex_bg", "sparse_super", "large_file", "huge_file", "dir_nlink", "extra_isize"],
  "metadata_csum",
];

/**
 * The shell program that builds `recipe`. It runs as the first process of mount and pid namespaces
 * of its own, as root of them, in the directory that `rootfs.ext4` goes to; its stdin is a leash:
 * when that ends, everything ends. Arguments: `$1` the archive's address, `$2` its keyring,
 * `$3` the file system's UUID.
 * Prints the installed packages, one `NAME VERSION ARCH` a line; notes go to stderr.
 *
 * The tree is on a tmpfs where memory allows (it is a fifth faster, and vanishes with the build),
 * else in the directory `tree`.
 */
export function buildScript(recipe: ImageRecipe): string {
  return `set -eu
umask 022
exec 3<&0 </dev/null
(cat <&3 >/dev/null; kill -KILL -1) &
exec 3<&-

free=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
case $limit in max) ;; *) limit=$((limit / 1048576)); [ "$limit" -gt "$free" ] || free=$limit ;; esac
if ! { [ "$free" -ge ${recipe.treeInMemoryFromMib} ] && mount -t tmpfs -o mode=0755,size=2560m tmpfs ${workMount} 2>/dev/null; }
then
  mkdir tree
  mount --bind tree ${workMount}
fi
mkdir ${workMount}/root ${workMount}/tmp
chmod 1777 ${workMount}/tmp
root=${workMount}/root

tmp=${workMount}/tmp
${treeScript(recipe)}
echo '${writeMarker}' >&2
truncate -s ${recipe.virtualBytes} rootfs.ext4
# Tables are holes marked as zeroed, so that the guest's kernel has nothing left to do; room to grow
# to 1 TiB (beyond it the kernel switches to another layout by itself).
printf '[fs_types]\\next4 = {\\n}\\n' >${workMount}/tmp/mke2fs.conf
MKE2FS_CONFIG=${workMount}/tmp/mke2fs.conf mke2fs -q -F -t ext4 -b 4096 -I 256 -i 16384 -m 0 -J size=32 \\
  -O none,${ext4Features.join(",")} \\
  -E resize=268435456,lazy_itable_init=0,lazy_journal_init=1,root_owner=0:0 \\
  -L banger-root -U "$3" -d "$root" rootfs.ext4 >&2
chroot "$root" dpkg-query -W -f '\${Package} \${Version} \${Architecture}\\n'
[ ! -d tree ] || rm -rf tree/root tree/tmp
`;
}
