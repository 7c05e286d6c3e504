import {
  homeCopyMark,
  kitPath,
  workDiskDir,
  workDiskMark,
  workDiskSerial,
} from "../wire/messages.ts";

/**
 * `/.banger/sbin/work-disk HOME UID:GID`: puts the work disk's directory `home` where the home directory of
 * the VM's user is, before anybody's command, login or copy of a repository. What goes wrong is said on stdout.
 *
 * The disk has `home`, which counts only when it is whole, `owner`, whose that directory is, and `sectors`, the size that
 * its file system has grown to. On its first start it has no `home`, unless its image brought a seed: then the home directory of the image
 * is copied beside its place and moved there when it is on the disk, so that a copy that was cut short is done again.
 * Everything else of the disk stays out of the home directory, `lost+found` too.
 *
 * No nosuid or nodev: without a work disk this directory is on the system disk, and whoever uses it is the
 * guest's root. `discard` gives the host back what is deleted.
 */
export const workDiskScript = `#!${kitPath}/bin/busybox sh
home=$1 owner=$2 w=${workDiskDir}
fail() {
  rm -f ${homeCopyMark}
  echo "$*"
  exit 1
}
exec 2>>/run/banger/work-disk.log
[ ! -e ${workDiskMark} ] || exit 0
device=
find_disk() {
  for block in /sys/block/vd*; do
    serial=
    # It has no end of line.
    read -r serial <"$block/serial"
    [ "$serial" = ${workDiskSerial} ] || continue
    device=\${block##*/}
    return 0
  done
  return 1
}
tries=0
until find_disk; do
  tries=$((tries + 1))
  [ $tries -lt 100 ] || fail "the VM's work disk is not there"
  usleep 50000
done
mounted=
while read -r what where rest; do [ "$where" != $w ] || mounted=1; done </proc/mounts
if [ -z "$mounted" ]; then
  [ -d $w ] || mkdir -m 0700 $w
  mount -t ext4 -o rw,noatime,discard /dev/$device $w || fail "the work disk's file system cannot be mounted"
fi
had=
read -r sectors </sys/block/$device/size
read -r had <$w/sectors
if [ "$had" != "$sectors" ]; then
  : >${homeCopyMark}
  ${kitPath}/sbin/resize2fs /dev/$device </dev/null >&2 || fail "the work disk's file system cannot be made larger"
  echo "$sectors" >$w/sectors.new && mv -f $w/sectors.new $w/sectors
fi
if [ ! -d $w/home ]; then
  : >${homeCopyMark}
  [ ! -e $w/home.new ] || rm -rf $w/home.new
  mkdir -m 0700 $w/home.new && chown "$owner" $w/home.new || fail "nothing can be written to the work disk"
  if [ -d "$home" ]; then
    cp -a "$home/." $w/home.new/ ||
      fail "the home directory of the image, $home, cannot be copied to the work disk: $(tail -n 1 /run/banger/work-disk.log)"
  fi
  echo "$owner" >$w/owner
  sync
  mv $w/home.new $w/home || fail "nothing can be written to the work disk"
  sync
fi
was=
read -r was <$w/owner
if [ "$was" != "$owner" ]; then
  # Another user after a reset, or a seed: it says whose its files are, but not whose home directory it will be.
  chown "$owner" $w/home && echo "$owner" >$w/owner.new && mv -f $w/owner.new $w/owner
fi
[ -d "$home" ] || mkdir -p "$home"
mount -o bind $w/home "$home" || fail "the work disk cannot be mounted on $home"
: >${workDiskMark}
[ ! -e ${homeCopyMark} ] || rm -f ${homeCopyMark}
`;
