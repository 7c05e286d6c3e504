import { kitPath } from "../wire/messages.ts";
import { rawTicketChars } from "../wire/raw.ts";

/**
 * `/.banger/sbin/raw-join`: serves one raw connection, which is its stdin and stdout (socat's
 * `EXEC` with `nofork`). The first bytes are a ticket, the name of a file in `$RAW_DIR` that the agent
 * wrote: `in` or `out` and the path of a program's pipe. See `src/wire/raw.ts` for what is said.
 *
 * The ticket is in no argument list, which every user of the guest could read. It is good once: the
 * file beside it (`.taken`) can be made by one process only. `.pid` names the process that moves the
 * bytes, `.end` its exit code. The last byte of an output is `rawWhole` when it came to its end, and another
 * one (`x`) when it was given up; either is no output, and neither is there when the connection broke.
 */
export const rawJoinScript = `#!${kitPath}/bin/busybox sh
exec 2>/dev/null
read -r -t 2 -n ${rawTicketChars} ticket || exit
case $ticket in *[!0-9a-f]*) exit ;; esac
[ \${#ticket} = ${rawTicketChars} ] || exit
ticket=$RAW_DIR/$ticket
read -r way pipe <"$ticket" || exit
set -C
echo $$ >"$ticket.taken" || exit
set +C
case $way in
  in) exec 3>"$pipe" ;;
  out) exec 3<"$pipe" ;;
  *) exit ;;
esac
exec 4<&0
echo -n r
read -r -n 1 go && [ "$go" = g ] || exit
set -- "\${0%/*}/../bin/busybox" dd bs=64k
case $way in
  in) "$@" <&4 >&3 & ;;
  out) "$@" <&3 & ;;
esac
echo $! >"$ticket.pid"
wait $!
end=$?
echo $end >"$ticket.end"
[ $way = in ] || case $end in 0) echo -n w ;; *) echo -n x ;; esac
`;
