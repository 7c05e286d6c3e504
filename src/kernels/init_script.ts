/** Where the modules disk is mounted inside the guest, below its `/run`. */
export const guestModulesDir = "/run/banger/modules";

/** Where the guest's identity is put, when one came with the initrd; as in `wire/messages.ts`. */
const guestSeedDir = "/run/banger/seed";

/** virtio-blk serials by which `/init` finds its disks (at most 20 bytes, virtio 1.2, 5.2.6). */
export const diskSerials = {
  root: "banger-root",
  kit: "banger-kit",
  modules: "banger-modules",
} as const;

/** The first program of the guest kit, on the kit disk that is mounted at `/.banger`. */
export const kitInitPath = "/.banger/sbin/kit-init";

/**
 * `/init` of the initrd, for busybox's shell.
 *
 * It inserts the modules of `/modules/order` (a module on each line; with a virtio device id behind
 * it, only where there is such a device), mounts the root disk (read-write), the kit disk at
 * `/.banger` and the modules disk when there is one, and hands over to the kit's init. Waits are
 * bounded and only happen while a disk is missing. Every failure prints one line that starts with
 * `banger-init: cannot` and reboots, which ends a VM that runs with `-no-reboot`.
 */
export const initScript = `#!/bin/busybox sh
fail() {
  echo "banger-init: cannot $*" >/dev/console
  reboot -f
  while :; do sleep 60; done
}

mount -t devtmpfs -o mode=0755,nosuid dev /dev || fail "mount /dev"
exec </dev/console >/dev/console 2>&1
mount -t proc -o nosuid,nodev,noexec proc /proc || fail "mount /proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys || fail "mount /sys"
has_device() {
  for file in /sys/bus/virtio/devices/*/device; do
    read -r id 2>/dev/null <"$file" && [ "$id" = "$1" ] && return
  done
  return 1
}
while read -r module device; do
  [ -z "$device" ] || has_device "$device" || continue
  insmod "/modules/$module" || fail "insert $module"
done </modules/order

find_disks() {
  for block in /sys/block/vd*; do
    serial=
    read -r serial 2>/dev/null <"$block/serial"
    case "$serial" in
      ${diskSerials.root}) root=/dev/\${block##*/} ;;
      ${diskSerials.kit}) kit=/dev/\${block##*/} ;;
      ${diskSerials.modules}) modules=/dev/\${block##*/} ;;
    esac
  done
  [ -n "$root" ] && [ -n "$kit" ]
}
root= kit= modules= tries=0
until find_disks; do
  tries=$((tries + 1))
  [ $tries -lt 100 ] || fail "find the disks \${root:-${diskSerials.root}} \${kit:-${diskSerials.kit}}"
  usleep 50000
done

n=/newroot
mount -t ext4 -o rw,noatime $root $n || fail "mount the root disk $root"
for dir in proc sys dev run tmp .banger; do
  [ -d $n/$dir ] || mkdir -p $n/$dir 2>/dev/null
done
[ -d $n/.banger ] || fail "mount the kit: the root disk has no /.banger and refuses it"
mount -t ext4 -o ro,nosuid,nodev $kit $n/.banger || fail "mount the kit disk $kit"
mount -t tmpfs -o mode=0755,nosuid,nodev run $n/run || fail "mount /run"
# The image's lib may be a symbolic link (/usr merge); it must not lead out of the image.
bind_modules() {
  release=$(uname -r)
  mkdir -p $n${guestModulesDir}
  mount -t ext4 -o ro,nosuid,nodev,noexec $modules $n${guestModulesDir} || return
  case "$(readlink $n/lib)" in
    usr/lib|/usr/lib) lib=$n/usr/lib ;;
    "") lib=$n/lib ;;
    *) return ;;
  esac
  [ ! -L $lib ] && [ ! -L $lib/modules ] && [ ! -L $lib/modules/$release ] || return
  mkdir -p $lib/modules/$release 2>/dev/null
  mount -o bind $n${guestModulesDir} $lib/modules/$release
}
[ -z "$modules" ] || bind_modules || echo "banger-init: no modules for $(uname -r)"

# Who the guest is: for the kit's init, out of reach of other users.
if [ -d /seed ]; then
  mkdir -p $n/run/banger && mv /seed $n${guestSeedDir} || echo "banger-init: no identity"
fi

# Names that every shell and tee(1) expect; an image's init, where there is one, comes after the first command.
ln -s /proc/self/fd /dev/fd
for name in 0:stdin 1:stdout 2:stderr; do ln -s /proc/self/fd/\${name%:*} /dev/\${name#*:}; done
mount -o move /dev $n/dev || fail "move /dev"
mkdir $n/dev/pts $n/dev/shm 2>/dev/null
mount -t devpts -o nosuid,noexec,gid=5,mode=0620,ptmxmode=0666 devpts $n/dev/pts ||
  fail "mount /dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev shm $n/dev/shm || fail "mount /dev/shm"
mount -o move /proc $n/proc || fail "move /proc"
mount -o move /sys $n/sys || fail "move /sys"
exec switch_root $n ${kitInitPath}
`;

/** `/init` of the marker initrd: says that this kernel reaches user space here, and ends the VM. */
export const markerScript = `#!/bin/busybox sh
mount -t devtmpfs dev /dev
echo "BANGER-KVM-OK" >/dev/console
reboot -f
`;
