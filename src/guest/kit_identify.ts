import { gitConfigMark } from "../wire/identity_files.ts";
import { identityStampFile, kitPath, sessionUser, stewardFifo } from "../wire/messages.ts";

/**
 * `/.banger/sbin/identify DIRECTORY [ROOT]`: makes the guest who the files in DIRECTORY say it is
 * (`wire/identity_files.ts`). At a start the kit's init runs it with what came in the initrd, while the
 * agent starts; later the agent does, with another identity. Can be run again. When it is done the
 * stamp of the directory is in `identityStampFile`.
 *
 * With a ROOT, as tests have it, only files below ROOT are touched. Where busybox knows a command the shell
 * runs it without starting a program.
 */
export const identifyScript = `#!${kitPath}/bin/busybox sh
s=$1 r=$2
read -r stamp <"$s/stamp" && read -r name <"$s/hostname" || exit
umask 022
network() {
  ip link set lo up
  read -r mac address gateway <"$s/network" || return
  # passt learns the guest's MAC address from a frame; without one the guest's kernel would ignore
  # connections from the host, which come to no address of its own.
  echo 1 >/proc/sys/net/ipv4/conf/all/arp_notify
  for device in /sys/class/net/*; do
    read -r found <"$device/address" && [ "$found" = "$mac" ] || continue
    device=\${device##*/}
    ip addr flush dev "$device" scope global
    # The largest frames that passt takes: each costs it and the net filter the same, whatever its length.
    ip link set "$device" mtu 65520
    ip addr add "$address" dev "$device" && ip link set "$device" up &&
      ip route replace default via "$gateway" dev "$device"
  done
}
grow() {
  disk=
  while read -r device directory type rest; do
    [ "$directory" = / ] && [ "$type" = ext4 ] && disk=$device
  done </proc/mounts
  [ -z "$disk" ] || ${kitPath}/sbin/resize2fs "$disk" </dev/null >/dev/null
  : >"$s/grown"
}
# The agent takes longer to start than most disks to grow.
growing=
[ -n "$r" ] || [ ! -e "$s/grow-root" ] || { grow 2>/dev/null & growing=1; }
[ -n "$r" ] || network 2>/dev/null
# Written in one piece, as a file below /proc/sys takes it.
echo "$name" >"$r/proc/sys/kernel/hostname"
mkdir -p "$r/etc" "$r/run/systemd/network" "$r/run/NetworkManager/conf.d"
mkdir -p -m 0700 "$r/run/banger/ssh" "$r/run/banger"
chmod 0755 "$r/run/banger"
# A link of that name (to a resolver that does not run yet) is replaced, not followed.
put() {
  [ -e "$s/$1" ] || return 0
  [ ! -L "$r$2" ] || rm -f "$r$2"
  cat "$s/$1" >"$r$2"
}
put hostname /etc/hostname
read -r new <"$s/machine-id"
old=
read -r old 2>/dev/null <"$r/etc/machine-id"
[ "$old" = "$new" ] || put machine-id /etc/machine-id
put resolv.conf /etc/resolv.conf
put systemd-network /run/systemd/network/00-banger.network
put network-manager /run/NetworkManager/conf.d/00-banger.conf
cp -p "$s/host_key" "$s/host_key.pub" "$s/authorized_keys" "$r/run/banger/ssh/"

hosts=$r/etc/hosts
[ -e "$hosts" ] || printf '127.0.0.1\\tlocalhost\\n::1\\tlocalhost\\n' >"$hosts"
{
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in 127.0.1.1[!0-9]*|"") ;; *) printf '%s\\n' "$line" ;; esac
  done <"$hosts"
  printf '127.0.1.1\\t%s\\n' "$name"
} >"$s/hosts"
put hosts /etc/hosts

# The image's own settings of git stay.
line=
read -r line 2>/dev/null <"$r/etc/gitconfig"
if [ ! -e "$r/etc/gitconfig" ]; then put gitconfig-without /etc/gitconfig; line='${gitConfigMark}'; fi
[ "$line" != '${gitConfigMark}' ] || put gitconfig /etc/gitconfig

# The ssh server drops its privileges to the first user (sshd(8)), which images without ssh lack; the
# second one is for banger's own sessions, whatever the shell of the image's root is.
passwd=$r/etc/passwd
[ -e "$passwd" ] || echo root:x:0:0:root:/root:/bin/sh >"$passwd"
sshd='sshd:x:74:65534:sshd:/run/sshd:/usr/sbin/nologin
'
session='${sessionUser}:x:0:0:banger:/:${kitPath}/sbin/session
'
look() { case $line in sshd:*) sshd= ;; ${sessionUser}:*) session= ;; esac; }
end=
while IFS= read -r line; do look; done <"$passwd"
# What is left in line has no end of line.
look
[ -z "$line" ] || end='
'
[ -z "$sshd$session" ] || printf '%s' "$end$sshd$session" >>"$passwd"

# One that the initrd has made where the image has none.
[ ! -d "$r/tmp" ] || [ -k "$r/tmp" ] || chmod 1777 "$r/tmp"

# Whoever asked for a larger disk has it from the first command on, unless that takes seconds.
turns=0
while [ -n "$growing" ] && [ ! -e "$s/grown" ] && [ $turns -lt 60 ]; do
  usleep 50000
  turns=$((turns + 1))
done

echo "$stamp" >"$s/applied" && mv -f "$s/applied" "$r${identityStampFile}"
[ -z "$r" ] || exit 0

# Once the kit's init has started it, the ssh server reads its keys again.
if [ ! -p ${stewardFifo} ]; then
  mkdir -p -m 0755 /run/sshd
  if read -r pid 2>/dev/null </run/banger/ssh/sshd.pid && kill -HUP "$pid" 2>/dev/null; then :
  else OPENSSL_CONF=/dev/null ${kitPath}/sbin/sshd -f ${kitPath}/etc/sshd_config
  fi
fi
`;
