/**
 * What moves the bytes of one channel between a program's pipe and a lane's port: a script of busybox
 * sh with `dd`. In the environment: `KIT`, the kit's directory; `WAY`, `in` or `out` of the program's
 * point of view; `PIPE` and `PORT`, paths; `NONCE`; `AGENT`, a process; `BLOCK`, the size of
 * a write. Nothing of it is an argument: every user of the guest could read that.
 *
 * It writes the nonce to the port and waits for it (`src/wire/lane.ts`), says `ready`, waits for a line
 * on its standard input, and moves bytes until either side ends. It says the process that does it, and
 * at last that one's exit code and the exact number of bytes, also when the process was killed: the kernel
 * adds what a child wrote to `wchar` of the parent that waits for it (proc(5), /proc/PID/io).
 *
 * The pipe is opened both ways first, since opening one that has no other end would wait. A port that is
 * still open elsewhere cannot be opened; until the host is there, it reads as ended. Whatever dies takes its
 * children with it, also one that had not yet asked for that: it sees that it has another parent.
 */
export const laneScript = `
# Not even a message may be counted as moved.
exec 2>&-
[ $PPID = $AGENT ] || exit
b=$KIT/bin/busybox
moved() {
  while read -r key value; do
    case $key in wchar:) bytes=$value ;; esac
  done </proc/$$/io
}
bytes=
moved
[ -n "$bytes" ] || exit
exec 5<>"$PIPE"
case $WAY in
  in) exec 4>"$PIPE" ;;
  *) exec 4<"$PIPE" ;;
esac
exec 5>&-
tries=0
until command exec 3<>"$PORT"; do
  [ $((tries += 1)) -lt 50 ] || exit
  $b sleep 0.1
done
echo "$NONCE" >&3
line=
until [ "$line" = "$NONCE" ]; do
  read -r line <&3 || $b sleep 0.02
done
echo ready
read -r go || exit
moved
first=$bytes
case $WAY in
  in) set -- 3 4 ;;
  *) set -- 4 3 ;;
esac
$KIT/bin/setpriv --pdeathsig KILL $b sh -c \
  '[ $PPID = $0 ] && exec $KIT/bin/busybox dd bs=$BLOCK status=none' $$ \
  <&$1 >&$2 2>/dev/null 3>&- 4>&- &
pid=$!
exec 3>&- 4>&-
echo "$pid"
wait "$pid"
end=$?
moved
echo "$end $((bytes - first - \${#pid} - 1))"
`;
