#!/usr/bin/env bash
# Tries the README's two commands on a machine that has nothing: a Debian bookworm made by
# mmdebstrap with only node, npm, git and make, as the root of a mount and pid namespace of its own.
# Prints what such a machine still lacks, then runs `make demo` and `make test` in a clone there.
#
# usage: tests/fresh/run.sh [demo|test|all]      (needs root)
set -euo pipefail

repo=$(cd "$(dirname "$0")/../.." && pwd)
what=${1:-all}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/banger-tests
base=$cache/fresh-bookworm.tar
work=$(mktemp -d "${TMPDIR:-/var/tmp}/banger-fresh.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT

[ "$(id -u)" = 0 ] || { echo "fresh: needs root" >&2; exit 5; }

# A base that is older than a week is made again: Debian's mirrors drop superseded packages.
if [ -z "$(find "$base" -mtime -7 2>/dev/null)" ]; then
  mkdir -p "$cache"
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 2>/dev/null | head -n 1)
  mmdebstrap --quiet --format=tar --mode=root --variant=minbase \
    --include=nodejs,npm,git,make,ca-certificates \
    --aptopt='Apt::Install-Recommends "false"' \
    bookworm "$base.new" ${mirror:+"$mirror"}
  mv "$base.new" "$base"
fi

root=$work/root
mkdir "$root"
tar -xf "$base" -C "$root"
# What belongs to the machine's network and not to its packages: host names, name servers, certificate
# authorities and npm's and apt's own settings.
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
[ ! -e "$HOME/.npmrc" ] || cp "$HOME/.npmrc" "$root/root/.npmrc"
for file in /etc/apt/apt.conf.d/*proxy*; do
  [ ! -e "$file" ] || cp "$file" "$root/etc/apt/apt.conf.d/"
done
git clone --quiet "$repo" "$root/root/banger"

cat >"$root/root/inside.sh" <<'INSIDE'
set -eu
export HOME=/root LC_ALL=C.UTF-8 BANGER_TEST_FRESH=inside
echo "This machine lacks:"
for program in deno qemu-system-x86_64 qemu-img passt mmdebstrap newuidmap ssh mkfs.ext4 xz zstd \
  busybox patchelf systemctl sudo tmux; do
  command -v "$program" >/dev/null 2>&1 || echo "  $program"
done
cd /root/banger
# timed SECONDS COMMAND...: says how long it took; what runs when its time is over is listed.
timed() {
  limit=$1
  shift
  begun=$(date +%s)
  "$@" &
  pid=$!
  (
    sleep "$limit"
    echo "fresh: $* has not ended after $limit s; what runs:"
    for process in /proc/[0-9]*; do
      echo "  ${process#/proc/}: $(tr '\0' ' ' <"$process/cmdline" | cut -c 1-200)"
    done
    tail -n 20 /root/.local/state/banger/vms/*/console.log 2>/dev/null || true
    kill -TERM "$pid"
  ) &
  watch=$!
  code=0
  wait "$pid" || code=$?
  kill "$watch" 2>/dev/null || true
  echo "fresh: $* ended with $code after $(($(date +%s) - begun)) s"
  return "$code"
}
demos() { timed 600 make demo && timed 300 make demo; }
tests() { timed 3000 make test; }
case $1 in
  demo) demos ;;
  test) tests ;;
  all) demos && tests ;;
esac
INSIDE

# pivot_root instead of chroot: the kernel refuses user namespaces, which passt and mmdebstrap use,
# to a process in a chroot. The pid namespace ends every process that is left with its first one.
keep=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}")
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY NODE_EXTRA_CA_CERTS \
  SSL_CERT_FILE npm_config_registry NPM_CONFIG_REGISTRY CI; do
  [ -z "${!name:-}" ] || keep+=("$name=${!name}")
done
env -i "${keep[@]}" unshare --mount --pid --fork --kill-child sh -euc '
  mount --make-rprivate /
  mount --bind "$1" "$1"
  cd "$1"
  mkdir -p .host
  mount --rbind /dev dev
  mount -t proc proc proc
  mount --rbind /sys sys
  mount -t tmpfs -o mode=0755 tmpfs run
  mount -t tmpfs -o mode=1777 tmpfs tmp
  pivot_root . .host
  cd /
  umount -l /.host
  exec /bin/sh /root/inside.sh "$2"
' sh "$root" "$what"
