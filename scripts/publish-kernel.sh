#!/usr/bin/env bash
# Publishes a kernel to a catalog: bundle, signature, entry in catalog.json.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: scripts/publish-kernel.sh --catalog DIR --key FINGERPRINT --name NAME --version VERSION
         --kernel FILE [OPTIONS]

  --catalog DIR           directory that is served as the catalog; it exists
  --key FINGERPRINT       of the key that signs; gpg has its secret part (GNUPGHOME)
  --name NAME             of the kernel in the catalog
  --version VERSION       what `uname -r` says in the guest
  --kernel FILE           vmlinux (ELF), bzImage, or an arm64 Image
  --arch ARCH             x86_64 (the default) or aarch64
  --initrd FILE           what it boots with, when it has no drivers built in
  --modules FILE          ext4 file system with the tree of /lib/modules/VERSION
  --command-line WORDS    words that it needs on its command line
  --base-url URL          address of the directory, for catalogs that are used as a file; entries
                          are relative to the catalog when left out
  --created SECONDS       when it was made; SOURCE_DATE_EPOCH or now when left out
  --level N               of zstd, 1 to 19; 15 when left out

Users pin FINGERPRINT with fingerprints and keyring below [catalog]; the keyring is
DIR/key-FINGERPRINT.asc.
EOF
}

fail() {
  printf 'publish-kernel: %s\n' "$1" >&2
  printf '  scripts/publish-kernel.sh --help\n' >&2
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
    --catalog | --key | --name | --version | --kernel | --arch | --initrd | --modules | \
      --command-line | --base-url | --created | --level)
      [[ -n ${2:-} ]] || fail "$1 needs a value"
      [[ -z ${given[$1]:-} ]] || fail "$1 is given twice"
      ;;
    *) fail "there is no option \"$1\"" ;;
  esac
  case $1 in
    --kernel | --initrd | --modules) [[ -f $2 ]] || fail "$1: there is no file \"$2\"" ;;
  esac
  given[$1]=$2
  args+=("$1" "$2")
  shift 2
done
for option in --catalog --key --name --version --kernel; do
  [[ -n ${given[$option]:-} ]] || fail "$option is missing"
done
arch=${given[--arch]:-x86_64}
[[ $arch == x86_64 || $arch == aarch64 ]] || fail '--arch must be x86_64 or aarch64'
[[ -n ${given[--arch]:-} ]] || args+=(--arch "$arch")

exec "$(dirname "$0")/publish/publish.sh" kernel --kernel-name "${given[--name]}" "${args[@]}"
