#!/usr/bin/env bash
# Builds the root file system of a golden image from the Debian archive, as root or as an ordinary user;
# it is what `banger image pull` builds. Docker is not needed; images/golden/README.md has the way with it.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: scripts/make-golden-image.sh --out FILE [OPTIONS]

  --out FILE        gets the root file system, ext4; it does not exist yet
  --name NAME       of the recipe; debian-bookworm when left out
  --mirror URL      of a Debian mirror; the one of this host's apt when left out
EOF
}

fail() {
  printf 'make-golden-image: %s\n' "$1" >&2
  printf '  scripts/make-golden-image.sh --help\n' >&2
  exit 2
}

root=$(cd "$(dirname "$0")/.." && pwd)
name=debian-bookworm out='' mirror=()
while (($# > 0)); do
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    --out | --name | --mirror) [[ -n ${2:-} ]] || fail "$1 needs a value" ;;
    *) fail "there is no option \"$1\"" ;;
  esac
  case $1 in
    --out) out=$2 ;;
    --name) name=$2 ;;
    --mirror) mirror=("$2") ;;
  esac
  shift 2
done
[[ -n $out ]] || fail '--out is missing'
[[ ! -e $out ]] || fail "\"$out\" exists already"

[[ -x $root/.tools/bin/deno ]] || "$root/scripts/setup.sh" --no-packages
export DENO_DIR=$root/.tools/deno-dir DENO_NO_UPDATE_CHECK=1
exec "$root/.tools/bin/deno" run --quiet --no-check --frozen --config "$root/deno.json" --allow-all \
  "$root/scripts/publish/golden_image.ts" "$name" "$out" ${mirror[@]+"${mirror[@]}"}
