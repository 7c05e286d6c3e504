#!/usr/bin/env bash
# Publishes an image with its whole boot set to a catalog: bundle, signature, entry in catalog.json.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: scripts/publish-golden-image.sh --catalog DIR --key FINGERPRINT --name NAME --rootfs FILE
         --kernel FILE --kernel-name NAME --version VERSION [OPTIONS]

  --catalog DIR           directory that is served as the catalog; it exists
  --key FINGERPRINT       of the key that signs; gpg has its secret part (GNUPGHOME)
  --name NAME             of the image in the catalog
  --rootfs FILE           its root file system, ext4: images/golden/README.md says how to make one
  --kernel FILE           that it boots: vmlinux (ELF), bzImage, or an arm64 Image
  --kernel-name NAME      under which users get that kernel
  --version VERSION       what `uname -r` says in the guest
  --arch ARCH             x86_64 (the default) or aarch64
  --initrd FILE           what the kernel boots with, when it has no drivers built in
  --modules FILE          ext4 file system with the tree of /lib/modules/VERSION
  --work-seed FILE        tar archive that a fresh work disk begins with
  --kit FILE              the guest kit, as banger keeps it (~/.local/state/banger/kits/kit-DIGEST.ext4,
                          with current.json beside it): who has the same banger need not build it
  --command-line WORDS    words that the kernel needs on its command line
  --base-url URL          address of the directory, for catalogs that are used as a file; entries
                          are relative to the catalog when left out
  --created SECONDS       when it was made; SOURCE_DATE_EPOCH or now when left out
  --level N               of zstd, 1 to 19; 15 when left out

Users pin FINGERPRINT with fingerprints and keyring below [catalog]; the keyring is
DIR/key-FINGERPRINT.asc.
EOF
}

fail() {
  printf 'publish-golden-image: %s\n' "$1" >&2
  printf '  scripts/publish-golden-image.sh --help\n' >&2
  exit 2
}

declare -A given=()
args=()
while (($# > 0)); do
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    --catalog | --key | --name | --rootfs | --kernel | --kernel-name | --version | --arch | \
      --initrd | --modules | --work-seed | --kit | --command-line | --base-url | --created | --level)
      [[ -n ${2:-} ]] || fail "$1 needs a value"
      [[ -z ${given[$1]:-} ]] || fail "$1 is given twice"
      ;;
    *) fail "there is no option \"$1\"" ;;
  esac
  case $1 in
    --rootfs | --kernel | --initrd | --modules | --work-seed | --kit)
      [[ -f $2 ]] || fail "$1: there is no file \"$2\""
      ;;
  esac
  given[$1]=$2
  args+=("$1" "$2")
  shift 2
done
for option in --catalog --key --name --rootfs --kernel --kernel-name --version; do
  [[ -n ${given[$option]:-} ]] || fail "$option is missing"
done
arch=${given[--arch]:-x86_64}
[[ $arch == x86_64 || $arch == aarch64 ]] || fail '--arch must be x86_64 or aarch64'
[[ -n ${given[--arch]:-} ]] || args+=(--arch "$arch")

exec "$(dirname "$0")/publish/publish.sh" image "${args[@]}"
