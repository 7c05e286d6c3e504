/**
 * What of an identity needs programs, as one script for the kit's busybox, whose shell runs its own
 * applets without starting a program. Values come by environment. The ssh server and the growing of
 * the root file system go on in the background.
 */
export const identityScript = `
[ -z "$CLOCK" ] || date -s "$CLOCK" >/dev/null
ip link set lo up
# A frame by which passt learns the guest's MAC address; see the kit's init.
echo 1 >"$ROOT/proc/sys/net/ipv4/conf/all/arp_notify"
if [ -n "$MAC" ]; then
  for device in /sys/class/net/*; do
    read -r mac <"$device/address" || continue
    [ "$mac" = "$MAC" ] || continue
    name=\${device##*/}
    ip addr flush dev "$name" scope global
    ip addr add "$ADDRESS" dev "$name"
    ip link set "$name" up
    [ -z "$GATEWAY" ] || ip route replace default via "$GATEWAY" dev "$name"
  done
fi
[ -d "$ROOT/run/sshd" ] || mkdir -p -m 0755 "$ROOT/run/sshd"
pidfile="$ROOT/run/banger/ssh/sshd.pid"
[ -n "$SSH" ] && [ -x "$KIT/sbin/sshd" ] && {
  if [ -s "$pidfile" ] && read -r pid <"$pidfile" && kill -HUP "$pid" 2>/dev/null; then :
  else start_sshd=1
  fi
}
(
  # What the host waits for next comes first.
  sleep 0.4
  [ -z "$start_sshd" ] ||
    OPENSSL_CONF=/dev/null "$KIT/sbin/sshd" -f "$KIT/etc/sshd_config"
  [ -z "$GROW" ] || {
    while read -r device directory type rest; do
      [ "$directory" = / ] && [ "$type" = ext4 ] && root=$device
    done </proc/mounts
    [ -z "$root" ] || "$KIT/sbin/resize2fs" "$root"
  }
) </dev/null >/dev/null 2>&1 &
true
`;
