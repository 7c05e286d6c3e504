#!/bin/sh
# @NAME@ @VERSION@: a self-extracting program. Two gzipped tar files follow this script: the Deno
# runtime and the program's code. The first run unpacks them into a private directory; every run
# checks that nobody else can write there, with one fork, and starts.
runtime=@RUNTIME_SHA256@
app=@APP_SHA256@

fail() { # state [hint]
  printf 'banger: Cannot start "@NAME@": %s\nhint: %s\n' "$1" \
    "${2:-set BANGER_RUNTIME_DIR to a directory that only you can write, with 200 MB free}" >&2
  case $words in "vm run" | "vm exec" | "vm ssh") exit 125 ;; esac
  exit 5
}

# Prints "OWNER MODE PATH" for: this process (its owner is who we are), the runtime directory by its
# physical name (so that no link on the way can be changed later), the entries in it, every parent.
examine() { # stat-program entry...
  look=$1
  shift
  cd -P -- "$cache" 2>/dev/null || return 1
  parent=$PWD
  for entry do
    set -- "$@" "$PWD/$entry"
    shift
  done
  while [ -n "${parent%/}" ]; do
    parent=${parent%/*}
    set -- "$@" "${parent:-/}"
  done
  # shellcheck disable=SC2086 # a program and perhaps its first argument
  exec $look -c '%u %a %n' /proc/self/. "$PWD" "$@" 2>/dev/null
}

# Whether what `examine` printed is safe: owned by us or root, and not writable by others; only a
# parent may be a sticky directory of root's. Sets `place`, or `unsafe` to the reason.
trusted() { # output of examine
  IFS='
'
  set -f
  # shellcheck disable=SC2086 # one word a line
  set -- $1
  unset IFS
  set +f
  unsafe='its runtime directory cannot be examined'
  [ $# -gt 2 ] || return 1
  me=${1%% *}
  place=${2#* * }
  shift
  for line do
    path=${line#* * }
    mode=${line#* }
    mode=${mode%% *}
    case ${line%% *} in
      0 | "$me") ;;
      *) unsafe="user ${line%% *} owns $path" && return 1 ;;
    esac
    case $mode in
      *[2367]? | *[2367])
        case $line in
          "0 "[1357]???" "*)
            case $place in "${path%/}"/*) continue ;; esac
            ;;
        esac
        unsafe="other users may write $path (mode $mode)" && return 1
        ;;
    esac
  done
}

words="${1-} ${2-}"
unsafe='it cannot look at its runtime directory'
case ${BANGER_RUNTIME_DIR:+1}${XDG_CACHE_HOME:+2}${HOME:+3} in
  1*) cache=$BANGER_RUNTIME_DIR ;;
  2*) cache=$XDG_CACHE_HOME/banger/runtime ;;
  3) cache=$HOME/.cache/banger/runtime ;;
  *) fail 'neither HOME nor XDG_CACHE_HOME nor BANGER_RUNTIME_DIR is set' ;;
esac
case $cache in
  /*) ;;
  *) fail "its runtime directory $cache is not an absolute path" ;;
esac

start() {
  true 2>/dev/null >"$place/$app/used"
  true 2>/dev/null >"$place/$runtime/used"
  export DENO_NO_UPDATE_CHECK=1 DENO_DIR="$place/$app/cache"
  export DENO_TLS_CA_STORE="${DENO_TLS_CA_STORE:-system,mozilla}"
  # Asking V8's code cache takes longer than compiling the little that help needs, and a daemon would
  # keep what it holds. For the rest it is to hold all functions, not only those compiled on sight.
  case $words in
    " "* | -* | help* | "version "* | "daemon run") code=--no-code-cache ;;
    *) code=--v8-flags=--no-lazy ;;
  esac
  exec "$place/$runtime/deno" run @FLAGS@ $code "$place/$app/main.js" "$@"
}

# Static, so it starts in half the time of coreutils' own; where it is missing or cannot do this, the
# other one looks again.
if found=$(examine '/bin/busybox stat' "$runtime" "$runtime/deno" "$app" "$app/main.js") ||
  found=$(examine stat "$runtime" "$runtime/deno" "$app" "$app/main.js"); then
  trusted "$found" || fail "$unsafe"
  start "$@"
fi

# From here on: the first run. The shell reads no further otherwise.

# Unpacks one part of this file, unless it is there already; the directory appears complete or never.
unpack() { # sha256 offset size
  [ ! -d "$place/$1" ] || return 0
  new=$place/.new-$$
  mkdir "$new" "$new/tree" || fail "its runtime cannot be unpacked in $place"
  tail -c "+$2" -- "$self" 2>/dev/null | head -c "$3" >"$new/part" ||
    fail "its runtime cannot be unpacked in $place"
  sum=$(sha256sum <"$new/part")
  if [ "${sum%% *}" != "$1" ]; then
    rm -rf "$new"
    fail "the file $self is damaged, or was replaced just now: sha256 ${sum%% *} instead of $1" \
      'run it again; if that fails too, build or install it again'
  fi
  if gzip -dc <"$new/part" | tar -xf - --no-same-owner -C "$new/tree"; then
    mv -T "$new/tree" "$place/$1"
  fi
  rm -rf "$new"
  [ -d "$place/$1" ] || fail "its runtime cannot be unpacked in $place"
}

# Removes what earlier builds unpacked, was not used for 30 days, and does not run.
prune() {
  find "$place" -mindepth 2 -maxdepth 2 -name used -mtime +30 | head -n 20 | while IFS= read -r used; do
    old=${used%/used}
    case $old in *"/$runtime" | *"/$app") continue ;; esac
    # The pattern goes in by a pipe, or grep would find it in its own command line.
    # shellcheck disable=SC2062 # these are files; the pattern is what -f reads
    printf '%s\n' "$old/" | grep -lsF -f - /proc/[0-9]*/cmdline /proc/[0-9]*/maps | grep -q . ||
      rm -rf "$old"
  done
}

prepare() {
  umask 077
  case $0 in */*) self=$0 ;; *) self=$(command -v -- "$0") ;; esac
  mkdir -p -- "$cache" || fail "$cache cannot be made"
  { found=$(examine stat) && trusted "$found"; } || fail "$unsafe"
  [ -w "$place" ] || fail "its runtime cannot be unpacked in $place: permission denied"
  (
    flock -w 300 9 || fail "another first run still unpacks in $place"
    rm -rf "$place"/.new-*
    unpack "$runtime" @RUNTIME_OFFSET@ @RUNTIME_SIZE@
    unpack "$app" @APP_OFFSET@ @APP_SIZE@
    prune
  ) 9>"$place/.lock"
}

(prepare) || exit # a subshell, because of its umask
found=$(examine stat "$runtime" "$runtime/deno" "$app" "$app/main.js")
trusted "$found" || fail "$unsafe"
start "$@"
