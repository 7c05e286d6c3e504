import { kitPath, sessionsDir } from "../wire/messages.ts";

/**
 * `/.banger/sbin/session -c ID`: the login shell of banger's own ssh sessions. Runs the command that the agent
 * has put into the file ID (`agent/session.ts`), once, with its user, directory and environment.
 *
 * All of that is read as data, by the shell itself: nothing of it is looked at as shell text, and in no argument
 * but the program's own. A variable whose name a shell does not know goes through env(1).
 */
export const sessionScript = `#!${kitPath}/bin/busybox sh
b=${kitPath}/bin/busybox
next() { IFS= read -r -d '' _banger_word <&3; }
if [ "$1" != run ]; then
  case $2 in
    ""|*[!0-9a-f]*) echo "banger: this user is for banger's own sessions: banger vm ssh" >&2; exit 125 ;;
  esac
  f=${sessionsDir}/$2
  [ -f "$f" ] || { echo "banger: this session was not announced, or is over" >&2; exit 125; }
  exec 3<"$f"
  $b rm -f "$f"
  read -r uid gid groups <&3
  # Programs open their terminal by its name, too; sshd(8) takes it back.
  case $uid$SSH_TTY in 0/*) ;; */dev/pts/*) $b chown "$uid" "$SSH_TTY" ;; esac
  next
  cd "$_banger_word" || exit 125
  [ "$uid $gid" != "0 0" ] || exec $b sh "$0" run
  exec ${kitPath}/bin/setpriv --reuid="$uid" --regid="$gid" --groups="$groups" -- $b sh "$0" run
fi
next
_banger_count=$_banger_word
set --
while [ "$_banger_count" -gt 0 ]; do
  next || exit 125
  set -- "$@" "$_banger_word"
  _banger_count=$((_banger_count - 1))
done
# From here on other variables than these are the program's.
# What the ssh server says of the connection stays, not what it says of its user.
unset MAIL OLDPWD SHLVL _banger_env
while next; do
  case \${_banger_word%%=*} in
    _banger_*) ;;
    [0-9]*|*[!A-Za-z0-9_]*|IFS|OPTIND|LINENO|PPID|RANDOM) set -- "$_banger_word" "$@"; _banger_env=1 ;;
    *) export "$_banger_word" ;;
  esac
done
exec 3<&-
[ -z "$_banger_env" ] || exec ${kitPath}/bin/busybox env "$@"
exec "$@"
`;
