import {
  agentPortName,
  handOverFifo,
  homeCopyMark,
  identitySeedDir,
  kitPath,
  stewardFifo,
} from "../wire/messages.ts";

/** How the kit runs Deno: nothing is fetched, looked up, asked or checked at run time. */
export const agentCommand =
  `${kitPath}/bin/deno run --no-config --no-lock --no-remote --no-npm --cached-only ` +
  `--allow-all ${kitPath}/bin/agent.js serve --stdio`;

/** What the kit prints on the console first: a guest that has not got there gets nowhere. */
export const signOfLife = "banger-kit: starting";

/** What the kit prints before it ends a guest whose timer cannot be trusted. */
export const timerComplaint = "banger-kit: cannot trust the timer";

/**
 * Timer counts of a nanosecond times 2^32, as `/proc/timer_list` has them: an emulated local APIC counts at
 * 1 GHz, of which Linux takes every sixteenth count. Half to one and a half of it are accepted.
 */
const timerMult = 268_435_456;

/** Longest that the image's init waits for the guest's identity, in seconds. */
const handOverS = 10;

/**
 * Shell function that ends the guest when its timer is off. Nothing tells an emulated kernel how fast its local
 * APIC counts (with KVM it needs not know). It measures that against another clock, and when the host holds it up
 * between the two, every timer of this run is too late or, worse, a storm of interrupts.
 */
export const checkTimerFunction = `check_timer() {
  mult=$($b sed -n '/^Clock Event Device: lapic$/,/shift/{s/^ mult: *//p;/shift/q}' /proc/timer_list)
  [ -n "$mult" ] || return 0
  [ $mult -ge ${timerMult / 2} ] && [ $mult -le ${timerMult / 2 * 3} ] && return
  echo "${timerComplaint}: $mult for ${timerMult}" >/dev/console
  $b reboot -f
}
`;

/**
 * `/.banger/sbin/kit-init`: the first program after the initrd, as process 1, with /proc, /sys,
 * /dev, /run and the kit mounted. Starts the agent under a supervisor and becomes the image's init,
 * or stays as init where the image has none: it then reaps, reboots on SIGTERM and powers off on
 * SIGUSR1 and SIGUSR2 (the signals of busybox init).
 *
 * The image's init starts when the agent writes a line to `handOverFifo`: by then the guest has
 * its identity (host name, machine id, addresses, ssh server), and the agent did not have to share
 * the processor. Without a host it starts some seconds later all the same.
 *
 * The identity that came in the initrd, the network included, is applied while the agent starts. Clock
 * and ssh server wait for a line each in `stewardFifo`: by the second the server has its host key.
 *
 * The supervisor opens the virtio-serial port once and keeps it: a second open gives EBUSY, and
 * closing it throws away what the host has sent.
 */
export const kitInitScript = `#!${kitPath}/bin/busybox sh
b=${kitPath}/bin/busybox
echo "${signOfLife}" >/dev/console
set -- /run/banger /run/tmpfiles.d /run/systemd/system
$b mkdir -p "$@"
$b mkfifo -m 0600 ${handOverFifo} ${stewardFifo}
# systemd-tmpfiles must not empty /tmp under a running command.
echo 'q /tmp 1777 root root -' >/run/tmpfiles.d/tmp.conf
# The kit's ssh server has the port.
for unit in ssh.service sshd.service ssh.socket sshd.socket; do
  $b ln -s /dev/null /run/systemd/system/$unit
done

supervise() {
  device=
  for port in /sys/class/virtio-ports/*; do
    read -r name <"$port/name" && [ "$name" = ${agentPortName} ] && device=/dev/\${port##*/}
  done
  if [ -n "$device" ]; then exec 0<>"$device" 1>&0
  else exec 0</dev/null 1>/dev/null
  fi
  # An emulated processor runs made code slower than V8's interpreter, which is translated once.
  flags=
  while read -r line; do
    case $line in "model name"*"QEMU TCG"*) flags=--jitless ;; "") break ;; esac
  done </proc/cpuinfo
  delay=1
  while :; do
    read -r started rest </proc/uptime
    DENO_V8_FLAGS=$flags DENO_DIR=/run/banger/deno DENO_NO_UPDATE_CHECK=1 DENO_NO_PROMPT=1 NO_COLOR=1 \\
      ${agentCommand} 2>/run/banger/agent.log
    read -r ended rest </proc/uptime
    [ $((\${ended%.*} - \${started%.*})) -lt 30 ] || delay=1
    $b sleep $delay
    [ $delay -ge 30 ] || delay=$((delay * 2))
  done
}
${checkTimerFunction}steward() {
  check_timer
  # One descriptor for both lines: the second may have come already.
  exec 0<>${stewardFifo}
  read -r clock
  case $clock in @*) $b date -s "$clock" ;; esac
  read -r line
  $b rm ${stewardFifo}
  exec 0</dev/null
  $b mkdir -p -m 0755 /run/sshd
  # What the host waits for next comes first.
  $b sleep 0.4
  OPENSSL_CONF=/dev/null ${kitPath}/sbin/sshd -f ${kitPath}/etc/sshd_config
}
supervise &
# The agent takes a second to start: meanwhile the guest becomes who it is.
[ ! -d ${identitySeedDir} ] || ${kitPath}/sbin/identify ${identitySeedDir} </dev/null >/dev/null 2>&1 &
steward </dev/null >/dev/null 2>&1 &
# While the work disk is being filled or made larger nobody may use the home directory.
until read -r -t ${handOverS} line <>${handOverFifo}; do [ -e ${homeCopyMark} ] || break; done
$b rm ${handOverFifo}

for init in /sbin/init /usr/lib/systemd/systemd /lib/systemd/systemd /etc/init /bin/init; do
  [ -x $init ] && exec $init
done

finish() {
  trap '' TERM USR1 USR2
  $b kill -TERM -1
  $b sleep 0.3
  $b kill -KILL -1
  $b sync
  $b umount -a -r -t ext4
  $b mount -o remount,ro /
  $b $1 -f
}
trap 'finish reboot' TERM
trap 'finish poweroff' USR1 USR2
while :; do
  $b sleep 86400 &
  wait $!
done
`;
