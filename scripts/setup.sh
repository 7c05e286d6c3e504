#!/usr/bin/env bash
# Gets everything that building, testing and running banger needs: the pinned Deno (from npm, checked
# against scripts/toolchain/package-lock.json), the locked npm packages, and the Debian packages.
# Everything but the Debian packages goes to .tools/, which git ignores. Safe to run twice at once;
# takes milliseconds when there is nothing to do.
#
# usage: scripts/setup.sh [--no-packages | --tests]
#
#   --no-packages   leaves out the Debian packages
#   --tests         also gets the Debian packages that only tests use, where that is possible: a test that
#                   misses one says so and is skipped
set -euo pipefail
cd "$(dirname "$0")/.."

readonly packages=(qemu-system-x86 qemu-utils passt mmdebstrap uidmap openssh-client e2fsprogs
  xz-utils zstd busybox-static patchelf)
readonly test_packages=(shellcheck gpg gpg-agent skopeo umoci gcc libc6-dev musl-tools flex
  bison bc iproute2 nftables)
readonly tools=$PWD/.tools
# Deno looks for its bundler here; the version in the name must be the one in package-lock.json.
readonly bundler=$tools/deno-dir/dl/esbuild-0.25.5/esbuild-linux-x64
readonly inputs=(scripts/setup.sh scripts/toolchain/package-lock.json deno.lock)

fail() {
  printf 'setup: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf '  %s\n' "$@" >&2
  exit 1
}

# Prints those of the Debian packages $* that are not installed, on one line.
missing_packages() {
  command -v dpkg-query >/dev/null || fail 'this is not a Debian system' "install by hand: $*"
  # shellcheck disable=SC2016 # the format is dpkg's own
  dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
    awk -v want="$*" '
      $2 == "installed" { have[$1] = 1 }
      END { n = split(want, name, " "); for (i = 1; i <= n; i++) if (!(name[i] in have)) printf "%s ", name[i] }'
}

# Installs the Debian packages $*.
install_packages() {
  local missing=() as_root=()
  read -r -a missing <<<"$(missing_packages "$@" || true)"
  ((${#missing[@]} > 0)) || return 0
  if ((EUID != 0)); then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
      as_root=(sudo)
    else
      fail "these Debian packages are missing: ${missing[*]}" \
        "run: sudo apt-get install --no-install-recommends ${missing[*]}"
    fi
  fi
  printf 'setup: installing %s\n' "${missing[*]}" >&2
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y
    -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
  local log=$tools/apt.log
  # The package lists are refreshed only when what they say cannot be installed.
  "${apt[@]}" install --no-install-recommends "${missing[@]}" >"$log" 2>&1 ||
    { "${apt[@]}" update >"$log" 2>&1 &&
      "${apt[@]}" install --no-install-recommends "${missing[@]}" >>"$log" 2>&1; } ||
    fail "cannot install ${missing[*]}; the end of $log:" "$(tail -n 15 "$log")"
}

# Installs the pinned programs; npm checks them against the lock file's sha512.
install_toolchain() {
  local from=scripts/toolchain work=$tools/toolchain platform
  platform=$(uname -m)
  [[ $platform == x86_64 ]] ||
    fail "there is no pinned Deno for $platform" "scripts/toolchain/package.json lists what there is"
  command -v npm >/dev/null || fail 'npm is not installed' 'run: apt-get install npm'
  printf 'setup: getting Deno from the npm registry\n' >&2
  rm -rf "$work"
  mkdir -p "$work" "$tools/bin" "${bundler%/*}"
  cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$work/"
  (cd "$work" && npm ci --no-progress --loglevel=error >npm.log 2>&1) ||
    fail 'npm cannot install the toolchain:' "$(tail -n 15 "$work/npm.log")"
  # A rename, so that a running Deno keeps its file.
  mv -f "$work/node_modules/@deno/linux-x64-glibc/deno" "$tools/bin/deno"
  mv -f "$work/node_modules/@esbuild/linux-x64/bin/esbuild" "$bundler"
  chmod 755 "$tools/bin/deno" "$bundler"
  rm -rf "$work"
}

# Fetches the locked npm packages, from the registry that npm is configured for.
install_dependencies() {
  local registry=${NPM_CONFIG_REGISTRY:-}
  [[ -n $registry ]] || registry=$(npm config get registry 2>/dev/null || true)
  [[ -z $registry || $registry == undefined ]] || export NPM_CONFIG_REGISTRY=$registry
  export DENO_DIR=$tools/deno-dir DENO_NO_UPDATE_CHECK=1
  export DENO_TLS_CA_STORE=${DENO_TLS_CA_STORE:-system,mozilla}
  "$tools/bin/deno" install --quiet --frozen >"$tools/install.log" 2>&1 ||
    fail 'deno cannot install the locked packages:' "$(tail -n 15 "$tools/install.log")"
}

case ${1:-} in
  '' | --no-packages | --tests) ;;
  *) fail "there is no option \"$1\"" 'usage: scripts/setup.sh [--no-packages | --tests]' ;;
esac

mkdir -p "$tools"
exec 9>"$tools/setup.lock"
flock -w 900 9 || fail 'another setup still runs after 15 minutes'

[[ ${1:-} == --no-packages ]] || install_packages "${packages[@]}"
[[ ${1:-} != --tests ]] || (install_packages "${test_packages[@]}") || true

wanted=$(cat "${inputs[@]}" | sha256sum)
done_before=$(cat "$tools/setup.done" 2>/dev/null || true)
if [[ ! -x $tools/bin/deno || ! -x $bundler || $wanted != "$done_before" ]]; then
  pinned=$(sha256sum scripts/toolchain/package-lock.json)
  if [[ ! -x $tools/bin/deno || ! -x $bundler ||
    $pinned != "$(cat "$tools/toolchain.done" 2>/dev/null || true)" ]]; then
    install_toolchain
    printf '%s' "$pinned" >"$tools/toolchain.done"
  fi
  install_dependencies
  printf '%s' "$wanted" >"$tools/setup.done"
fi
