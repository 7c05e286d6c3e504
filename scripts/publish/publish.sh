#!/usr/bin/env bash
# Makes a bundle, signs it and puts it into a catalog directory: what publish-kernel.sh and
# publish-golden-image.sh have in common, and not meant to be called by hand.
#
# usage: scripts/publish/publish.sh KIND --catalog DIR --key FINGERPRINT --name NAME --arch ARCH
#          [--base-url URL] [--created SECONDS] [OPTIONS OF tool.ts make]...
#
# gpg signs, with the secret key that it finds by FINGERPRINT (GNUPGHOME); passphrases are its agent's
# matter. The catalog directory gets NAME-ARCH-SHA.bundle, its signature beside it, and at last a new
# catalog.json by one rename: who reads it meanwhile sees the old one or the new one, and finds the files
# of either. When anything fails nothing has changed.
set -euo pipefail
umask 022

root=$(cd "$(dirname "$0")/../.." && pwd)
readonly root

fail() {
  printf 'publish: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf '  %s\n' "$@" >&2
  exit 1
}

readonly kind=${1:?the kind is missing}
shift
catalog='' key='' name='' arch='' base_url='' created=${SOURCE_DATE_EPOCH:-} rest=()
while (($# > 0)); do
  (($# > 1)) || fail "$1 needs a value"
  case $1 in
    --catalog) catalog=$2 ;;
    --key) key=$2 ;;
    --name) name=$2 ;;
    --arch) arch=$2 ;;
    --base-url) base_url=$2 ;;
    --created) created=$2 ;;
    *) rest+=("$1" "$2") ;;
  esac
  shift 2
done
[[ -n $created ]] || created=$(date +%s)

[[ $key =~ ^([0-9A-F]{40}|[0-9A-F]{64})$ ]] ||
  fail '--key must be the whole fingerprint of the signing key, in capitals' \
    'run: gpg --list-secret-keys --with-colons'
[[ $name =~ ^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$ ]] ||
  fail '--name must be of lower-case letters, digits, dots, underscores and hyphens'
[[ -z $base_url || $base_url =~ ^https?://[^[:space:]]+$ ]] || fail '--base-url must be an address'
[[ -d $catalog ]] || fail "the catalog directory \"$catalog\" does not exist"
for program in gpg zstd flock; do
  command -v "$program" >/dev/null || fail "$program is not installed"
done
gpg --batch --list-secret-keys "$key" >/dev/null 2>&1 ||
  fail "gpg has no secret key $key" 'GNUPGHOME says where it looks'

[[ -x $root/.tools/bin/deno ]] || "$root/scripts/setup.sh" --no-packages
export DENO_DIR=$root/.tools/deno-dir DENO_NO_UPDATE_CHECK=1
tool() {
  # Reading, writing and running are the caller's own rights anyway; the network is not needed.
  "$root/.tools/bin/deno" run --quiet --no-check --frozen --config "$root/deno.json" --deny-net \
    --allow-read --allow-write --allow-run --allow-env --allow-sys \
    "$root/scripts/publish/tool.ts" "$@"
}

work=$(mktemp -d "$catalog/.publish.XXXXXXXX")
# Files that no catalog names yet.
new=()
trap 'rm -rf "$work" ${new[@]+"${new[@]}"}' EXIT
trap 'exit 130' INT TERM HUP

sha256=$(tool make --kind "$kind" --name "$name" --arch "$arch" --created "$created" \
  --out "$work/bundle" ${rest[@]+"${rest[@]}"})
file=$name-$arch-${sha256:0:16}.bundle
gpg --batch --yes --local-user "$key" --digest-algo SHA512 --armor \
  --output "$work/signature" --detach-sign "$work/bundle" || fail 'gpg cannot sign'
gpg --batch --armor --export "$key" >"$work/key"
# What is published is what banger accepts.
signer=$(tool check --bundle "$work/bundle" --signature "$work/signature" --keyring "$work/key" \
  --key "$key")
size=$(stat -c %s "$work/bundle")
chmod 644 "$work/bundle" "$work/signature" "$work/key"

exec 9>"$catalog/.lock"
flock -w 600 9 || fail 'another publication holds the catalog for 10 minutes'
sync "$work/signature" "$work/key"
[[ -e $catalog/$file ]] || new=("$catalog/$file" "$catalog/$file.asc")
mv -f "$work/bundle" "$catalog/$file"
mv -f "$work/signature" "$catalog/$file.asc"
mv -f "$work/key" "$catalog/key-$signer.asc"
tool add --catalog "$catalog/catalog.json" --kind "$kind" --name "$name" --arch "$arch" \
  --url "${base_url:+${base_url%/}/}$file" --sha256 "$sha256" --size "$size" \
  --signature "${base_url:+${base_url%/}/}$file.asc" --signer "$signer"
new=()
printf 'published %s %s (%s) as %s, signed by %s\n' "$kind" "$name" "$arch" "$file" "$signer"
