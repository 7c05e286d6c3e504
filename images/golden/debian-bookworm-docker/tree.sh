#!/bin/sh
# Makes the tree of debian-bookworm-docker in the new directory ROOT, as root, with mmdebstrap.
# Generated from src/images by scripts/publish/golden_tree.ts: change it there.
#
# usage: tree.sh MIRROR KEYRING ROOT
set -eu
umask 022
[ $# -eq 3 ] || { echo 'usage: tree.sh MIRROR KEYRING ROOT' >&2; exit 2; }
mkdir "$3"
root=$(cd "$3" && pwd)
tmp=$(mktemp -d)
chmod 1777 "$tmp"
trap 'rm -rf "$tmp"' EXIT

# The host's resolv.conf and hostname, and device nodes, are taken out again below.
(cd / && TMPDIR="$tmp" mmdebstrap --verbose --mode=root --variant=minbase \
  --format=directory --skip=check/qemu,check/signed-by,chroot/mount/sys \
  --include=git,make,build-essential,curl,ca-certificates,tmux,sudo,openssh-client,python3,less,nano,vim-tiny,unzip,rsync,systemd,systemd-sysv,dbus,kmod,procps,iproute2,iputils-ping,netbase,docker.io,apparmor \
  --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
  --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  bookworm "$root" "deb [signed-by=$2] $1 bookworm main") >&2

put() {
  mkdir -p "$root${1%/*}"
  rm -f "$root$1"
  cat >"$root$1"
  chmod "$2" "$root$1"
}
put /etc/apt/sources.list 0644 <<BANGER_EOF
deb $1 bookworm main
deb $1 bookworm-updates main
BANGER_EOF
put /root/.bashrc 0644 <<'BANGER_EOF'
# ~/.bashrc: for interactive shells.
case $- in
*i*) ;;
*) return ;;
esac
HISTCONTROL=ignoreboth
HISTSIZE=10000
shopt -s histappend checkwinsize
case $TERM in
dumb) PS1='\u@\h:\w\$ ' ;;
*)
  PS1='\[\e[1;32m\]\u@\h\[\e[0m\]:\[\e[1;34m\]\w\[\e[0m\]\$ '
  alias ls='ls --color=auto' grep='grep --color=auto'
  ;;
esac
alias ll='ls -alF'
BANGER_EOF
put /root/.profile 0644 <<'BANGER_EOF'
# ~/.profile: for login shells.
[ -z "$BASH_VERSION" ] || . ~/.bashrc
BANGER_EOF
put /etc/default/locale 0644 <<'BANGER_EOF'
LANG=C.UTF-8
BANGER_EOF
put /etc/environment 0644 <<'BANGER_EOF'
LANG=C.UTF-8
BANGER_EOF
put /etc/tmpfiles.d/tmp.conf 0644 <<'BANGER_EOF'
q /tmp 1777 root root -
q /var/tmp 1777 root root -
BANGER_EOF
put /etc/systemd/journald.conf.d/banger.conf 0644 <<'BANGER_EOF'
[Journal]
Storage=volatile
RuntimeMaxUse=16M
BANGER_EOF
put /etc/systemd/system.conf.d/banger.conf 0644 <<'BANGER_EOF'
[Manager]
ShowStatus=no
LogColor=no
DefaultTimeoutStopSec=10s
BANGER_EOF
put /etc/apt/apt.conf.d/90banger 0644 <<'BANGER_EOF'
Acquire::Languages "none";
BANGER_EOF
put /etc/dpkg/dpkg.cfg.d/banger 0644 <<'BANGER_EOF'
force-unsafe-io
BANGER_EOF
put /etc/banger/wait-for 0644 <<'BANGER_EOF'
/run/docker.sock
BANGER_EOF

mkdir -p "$root/etc/systemd/system" "$root/etc/systemd/system-generators"
for unit in getty.target getty@tty1.service serial-getty@ttyS0.service serial-getty@hvc0.service console-getty.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-networkd-wait-online.service systemd-udev-settle.service systemd-pstore.service systemd-random-seed.service systemd-repart.service systemd-journal-flush.service systemd-update-utmp.service systemd-update-utmp-runlevel.service apparmor.service; do
  ln -sfn /dev/null "$root/etc/systemd/system/$unit"
done
for generator in systemd-bless-boot-generator systemd-cryptsetup-generator systemd-getty-generator systemd-gpt-auto-generator systemd-hibernate-resume-generator systemd-integritysetup-generator systemd-veritysetup-generator; do
  ln -sfn /dev/null "$root/etc/systemd/system-generators/$generator"
done
ln -sfn /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
rm -f "$root/etc/hostname"
rm -f "$root/etc/resolv.conf"
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap"
rm -f "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
rm -f "$root/var/lib/dbus/machine-id"
rm -f "$root/usr/lib/binfmt.d/python3.11.conf"
rm -f "$root/usr/lib/systemd/system/multi-user.target.wants/dbus.service"
rm -f "$root/usr/lib/systemd/system/multi-user.target.wants/systemd-logind.service"
rm -f "$root/etc/systemd/system/multi-user.target.wants/docker.service"
rm -f "$root/etc/systemd/system/multi-user.target.wants/containerd.service"
: >"$root/etc/machine-id"
find "$root/dev" "$root/run" "$root/tmp" -mindepth 1 -delete
# Tells systemd that nothing under /usr is newer than what it derived from it: no rebuild at boot.
touch "$root/etc/.updated" "$root/var/.updated"
