#!/usr/bin/env bash
# Makes the disk, kernel and initrd of the lab host: a Debian trixie whose own kernel has kvm_amd,
# with systemd, an ssh server and the programs that banger needs. It is kept for a week.
#
# usage: lab_image.sh DIRECTORY      (needs root; leaves disk.ext4, vmlinuz, initrd and key in it)
set -euo pipefail

out=${1:?a directory}
[ "$(id -u)" = 0 ] || { echo "lab image: needs root" >&2; exit 5; }
mkdir -p "$out"
exec 9>"$out/lock"
flock 9
recipe=$(sha256sum <"$0" | cut -c1-16)
if [ "$(cat "$out/recipe" 2>/dev/null)" = "$recipe" ] &&
  [ -n "$(find "$out/disk.ext4" -mtime -7 2>/dev/null)" ]; then
  exit 0
fi

work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 2>/dev/null | head -n 1)
[ -e "$out/key" ] || ssh-keygen -q -t ed25519 -N '' -C lab -f "$out/key"

# The initrd holds only what finds the disk: unpacking it is emulated too.
mmdebstrap --quiet --format=directory --mode=root --variant=minbase \
  --aptopt='Apt::Install-Recommends "false"' \
  --aptopt='Acquire::Languages "none"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"' \
  --essential-hook='printf "MODULES=list\nCOMPRESS=zstd\n" >"$1/etc/initramfs-tools/conf.d/lab"' \
  --essential-hook='printf "%s\n" virtio_pci virtio_blk ext4 >"$1/etc/initramfs-tools/modules"' \
  --include=systemd,systemd-sysv,udev,dbus,kmod,iproute2,openssh-server,openssh-client \
  --include=linux-image-amd64,initramfs-tools,zstd,xz-utils,ca-certificates,git,procps \
  --include=qemu-system-x86,qemu-utils,passt,mmdebstrap,uidmap,e2fsprogs,busybox-static,patchelf \
  trixie "$root" ${mirror:+"$mirror"}

echo lab >"$root/etc/hostname"
echo '/dev/vda / ext4 noatime 0 1' >"$root/etc/fstab"
printf '[Match]\nType=ether\n[Network]\nDHCP=ipv4\n' >"$root/etc/systemd/network/lab.network"
printf 'nameserver 10.0.2.3\n' >"$root/etc/resolv.conf"
mkdir -p -m 0700 "$root/root/.ssh"
cp "$out/key.pub" "$root/root/.ssh/authorized_keys"
printf 'UseDNS no\nUsePAM no\nMaxSessions 50\n' >"$root/etc/ssh/sshd_config.d/lab.conf"
: >"$root/etc/machine-id"
# An ordinary user who may use KVM, and one who may not. The packages made the group.
chroot "$root" useradd --create-home --shell /bin/bash --groups kvm with-kvm
chroot "$root" useradd --create-home --shell /bin/bash without-kvm
chroot "$root" systemctl enable --quiet systemd-networkd ssh
chroot "$root" systemctl mask --quiet getty@tty1 apt-daily.timer apt-daily-upgrade.timer \
  e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer systemd-timesyncd

rm -rf "$root"/var/cache/apt/archives/*.deb
cp "$root"/boot/vmlinuz-* "$work/vmlinuz"
cp "$root"/boot/initrd.img-* "$work/initrd"
mkfs.ext4 -q -F -d "$root" -L lab "$work/disk.ext4" 10G
mv "$work/vmlinuz" "$work/initrd" "$work/disk.ext4" "$out/"
echo "$recipe" >"$out/recipe"
