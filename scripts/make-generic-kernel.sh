#!/usr/bin/env bash
# Builds the generic guest kernel from upstream sources whose signature is checked first. What is in it,
# and why, is in images/kernel/README.md.
set -euo pipefail
umask 022

# Primary keys of those who make kernel releases (kernel.org, "Linux kernel releases PGP signatures"):
# Linus Torvalds, Greg Kroah-Hartman, Sasha Levin.
pinned=(ABAF11C65A2970B130ABE3C479BE3E4300411886
  647F28654894E3BD457199BE38DBBDC86092693E
  E27E5D8A3403A2EF66873BBCDEA66FF797772CDC)

usage() {
  cat <<'EOF'
usage: scripts/make-generic-kernel.sh --version VERSION --keyring FILE --out DIR [OPTIONS]

  --version VERSION       of the kernel, such as 6.12.30
  --keyring FILE          public keys that may have signed it; of those in it only pinned ones count
  --out DIR               gets vmlinux-RELEASE-ARCH and config-RELEASE-ARCH; made when missing
  --tarball FILE          linux-VERSION.tar, .tar.xz or .tar.gz; downloaded when left out
  --signature FILE        linux-VERSION.tar.sign; beside the tarball when left out
  --mirror URL            address of pub/linux/kernel; https
  --fingerprint FPR       pins this primary key in place of kernel.org's; may be given again
  --arch ARCH             x86_64 or aarch64; this machine's when left out
  --work DIR              where it is built (4 GiB); a temporary directory when left out
  --jobs N                compilers at once; as many as processors when left out
  --only STEP             ends after "verify" (the signature) or "configure" (the configuration)
EOF
}

fail() {
  printf 'make-generic-kernel: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf '  %s\n' "$@" >&2
  exit 1
}

wrong_usage() {
  printf 'make-generic-kernel: %s\n' "$1" >&2
  printf '  scripts/make-generic-kernel.sh --help\n' >&2
  exit 2
}

root=$(cd "$(dirname "$0")/.." && pwd)
version='' keyring='' out='' tarball='' signature='' arch='' parent='' jobs='' only=''
mirror=https://cdn.kernel.org/pub/linux/kernel
others=()
while (($# > 0)); do
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    --version | --keyring | --out | --tarball | --signature | --mirror | --fingerprint | --arch | \
      --work | --jobs | --only)
      [[ -n ${2:-} ]] || wrong_usage "$1 needs a value"
      ;;
    *) wrong_usage "there is no option \"$1\"" ;;
  esac
  case $1 in
    --version) version=$2 ;;
    --keyring) keyring=$2 ;;
    --out) out=$2 ;;
    --tarball) tarball=$2 ;;
    --signature) signature=$2 ;;
    --mirror) mirror=$2 ;;
    --fingerprint) others+=("${2// /}") ;;
    --arch) arch=$2 ;;
    --work) parent=$2 ;;
    --jobs) jobs=$2 ;;
    --only) only=$2 ;;
  esac
  shift 2
done
[[ -n $version ]] || wrong_usage '--version is missing'
[[ $version =~ ^[1-9][0-9]?\.[0-9]{1,3}(\.[0-9]{1,3})?$ ]] ||
  wrong_usage '--version must be like 6.12 or 6.12.30'
[[ -n $keyring ]] || wrong_usage '--keyring is missing'
[[ -f $keyring ]] || wrong_usage "--keyring: there is no file \"$keyring\""
[[ -n $out || $only == verify ]] || wrong_usage '--out is missing'
[[ -z $tarball || -f $tarball ]] || wrong_usage "--tarball: there is no file \"$tarball\""
[[ -z $signature || -n $tarball ]] || wrong_usage '--signature needs --tarball'
[[ $mirror =~ ^https://[^[:space:]]+$ ]] || wrong_usage '--mirror must be an https address'
[[ -n $arch ]] || arch=$(uname -m)
[[ $arch == x86_64 || $arch == aarch64 ]] || wrong_usage '--arch must be x86_64 or aarch64'
[[ -n $jobs ]] || jobs=$(nproc)
[[ $jobs =~ ^[1-9][0-9]{0,2}$ ]] || wrong_usage '--jobs must be a number'
[[ $only =~ ^(verify|configure|)$ ]] || wrong_usage '--only must be verify or configure'
for fingerprint in ${others[@]+"${others[@]}"}; do
  [[ $fingerprint =~ ^([0-9A-F]{40}|[0-9A-F]{64})$ ]] ||
    wrong_usage '--fingerprint must be a whole fingerprint, in capitals'
done
((${#others[@]} == 0)) || pinned=("${others[@]}")
if [[ -n $tarball && -z $signature ]]; then
  signature=${tarball%.tar*}.tar.sign
  [[ -f $signature ]] || wrong_usage "--signature: there is no file \"$signature\""
fi

missing=()
for program in gpg tar; do command -v "$program" >/dev/null || missing+=("$program"); done
[[ -n $tarball ]] || command -v curl >/dev/null || missing+=(curl)
if [[ $only != verify ]]; then
  for program in make gcc flex bison bc; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  [[ $arch == "$(uname -m)" ]] || command -v "$arch-linux-gnu-gcc" >/dev/null ||
    missing+=("$arch-linux-gnu-gcc")
fi
((${#missing[@]} == 0)) || fail "these programs are missing: ${missing[*]}"

work=$(mktemp -d "${parent:-${TMPDIR:-/tmp}}/generic-kernel.XXXXXXXX")
cleanup() {
  GNUPGHOME=$work/gnupg gpgconf --kill all >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# Downloads the address $1 to the file $2, of at most $3 bytes.
download() {
  printf 'make-generic-kernel: downloading %s\n' "$1" >&2
  curl --fail --silent --show-error --location --max-redirs 3 --proto =https --tlsv1.2 \
    --max-filesize "$3" --connect-timeout 30 --speed-limit 1000 --speed-time 60 --retry 3 \
    --output "$2" "$1" || fail "cannot download $1"
}

# Puts the uncompressed archive, which is what was signed, into the private work directory: what is
# checked there is what is unpacked.
fetch_sources() {
  local limit=$((4 << 30))
  if [[ -z $tarball ]]; then
    local base=$mirror/v${version%%.*}.x/linux-$version.tar
    tarball=$work/linux.tar.xz signature=$work/linux.tar.sign.new
    download "$base.sign" "$signature" 65536
    download "$base.xz" "$tarball" $((512 << 20))
  fi
  local unpack=()
  case $tarball in
    *.tar) unpack=(cat) ;;
    *.tar.xz) unpack=(xz -dc --memlimit-decompress=256MiB) ;;
    *.tar.gz) unpack=(gzip -dc) ;;
    *) fail "\"$tarball\" is no .tar, .tar.xz or .tar.gz" ;;
  esac
  (ulimit -f $((limit / 1024)) && exec "${unpack[@]}" <"$tarball") >"$work/linux.tar" ||
    fail "cannot unpack \"$tarball\""
  (($(stat -Lc %s "$signature") <= 65536)) || fail "\"$signature\" is too large for a signature"
  cp "$signature" "$work/linux.tar.sign"
}

# Whether the file $1 is one armoured signature and nothing else; gpg reads the first block and says
# nothing of what stands behind it.
is_one_block() {
  awk '
    NR == 1 && $0 != "-----BEGIN PGP SIGNATURE-----" { exit bad = 1 }
    ended { exit bad = 1 }
    NR > 1 && /^-----/ { if ($0 == "-----END PGP SIGNATURE-----") ended = 1; else exit bad = 1 }
    END { exit bad || !ended }' "$1"
}

# Exactly one signature, good, by a pinned primary key.
verify_sources() {
  is_one_block "$work/linux.tar.sign" ||
    fail 'the file of the signature is not one armoured signature and nothing else'
  local status key count
  mkdir -m 700 "$work/gnupg"
  local gpg=(gpg --homedir "$work/gnupg" --batch --no-auto-key-retrieve --no-auto-key-locate)
  "${gpg[@]}" --quiet --import "$keyring" 2>"$work/import.log" ||
    fail "cannot read the keyring \"$keyring\"" "$(tail -n 3 "$work/import.log")"
  local good=yes
  "${gpg[@]}" --status-fd 3 --verify "$work/linux.tar.sign" "$work/linux.tar" \
    3>"$work/status" 2>"$work/verify.log" || good=no
  status=$(<"$work/status")
  count=$(grep -c '^\[GNUPG:\] NEWSIG' <<<"$status" || true)
  ((count == 1)) || fail "the sources have $count signatures, exactly one is allowed"
  if grep -Eq '^\[GNUPG:\] (BADSIG|ERRSIG|EXPSIG|EXPKEYSIG|REVKEYSIG|NO_PUBKEY|FAILURE|NODATA) ' \
    <<<"$status"; then
    fail 'the signature of the sources is not good' "$(tail -n 3 "$work/verify.log")"
  fi
  key=$(awk '$2 == "VALIDSIG" { print $NF }' <<<"$status")
  if [[ $good != yes || ! $key =~ ^[0-9A-F]+$ ]] || ! grep -q '^\[GNUPG:\] GOODSIG ' <<<"$status"; then
    fail 'the signature of the sources is not good' "$(tail -n 3 "$work/verify.log")"
  fi
  local each
  for each in "${pinned[@]}"; do
    if [[ $each == "$key" ]]; then
      printf 'make-generic-kernel: signed by %s\n' "$key" >&2
      return
    fi
  done
  fail "the sources are signed by $key, which is not pinned"
}

unpack_sources() {
  local top
  top=$(tar -tf "$work/linux.tar" | head -n 1) || true
  [[ $top == "linux-$version/" ]] || fail "the sources are of \"$top\", not of linux-$version"
  tar -xf "$work/linux.tar" -C "$work" --no-same-owner --no-same-permissions
  # The newest file tells when the release was made.
  stamp=$(tar -tvf "$work/linux.tar" --full-time --utc | awk '{ print $4 "T" $5 "Z" }' | sort |
    tail -n 1)
  rm "$work/linux.tar"
}

# make(1) in the sources, with everything fixed that would tell one build from another.
kernel_make() {
  env -i PATH="$PATH" HOME="$work" LC_ALL=C TZ=UTC \
    SOURCE_DATE_EPOCH="$(date -u -d "$stamp" +%s)" KBUILD_BUILD_TIMESTAMP="$stamp" \
    KBUILD_BUILD_USER=banger KBUILD_BUILD_HOST=banger KBUILD_BUILD_VERSION=1 \
    make -s -C "$work/linux-$version" -j "$jobs" "ARCH=$kernel_arch" "CROSS_COMPILE=$cross" \
    "KCFLAGS=-ffile-prefix-map=$work=." "KAFLAGS=-ffile-prefix-map=$work=." "$@" >&2
}

# Whether the sources have the option $1 (without CONFIG_).
has_option() {
  grep -sqx "config $1" "$work/linux-$version/arch/${kernel_arch/x86_64/x86}/Kconfig"
}

# Names of mitigations in the file $1 that these sources do not have become the older ones: up to Linux 6.8
# they were without MITIGATION_, some with CPU_ instead.
use_known_names() {
  local name old
  while IFS= read -r name; do
    has_option "$name" && continue
    for old in "${name#MITIGATION_}" "CPU_${name#MITIGATION_}"; do
      ! has_option "$old" || sed -i "s/^CONFIG_$name=/CONFIG_$old=/" "$1"
    done
  done < <(sed -n 's/^CONFIG_\(MITIGATION_[A-Z0-9_]*\)=y$/\1/p' "$1")
}

configure() {
  local source=$work/linux-$version wanted=$work/wanted.config lost=() line option
  cat "$root/images/kernel/generic.config" "$root/images/kernel/$arch.config" >"$wanted"
  if [[ -e $root/images/kernel/$arch.newer.config ]]; then
    while IFS= read -r line; do
      option=${line#CONFIG_}
      [[ $line == CONFIG_* ]] || continue
      if has_option "${option%%=*}"; then
        printf '%s\n' "$line" >>"$wanted"
      else
        printf 'make-generic-kernel: Linux %s has no %s\n' "$version" "${option%%=*}" >&2
      fi
    done <"$root/images/kernel/$arch.newer.config"
  fi
  use_known_names "$wanted"
  kernel_make "KCONFIG_ALLCONFIG=$wanted" allnoconfig
  while IFS= read -r line; do
    case $line in
      CONFIG_*=*) grep -qxF -- "$line" "$source/.config" || lost+=("$line") ;;
      '# CONFIG_'*' is not set')
        option=${line#\# }
        ! grep -q "^${option%% *}=" "$source/.config" || lost+=("$line")
        ;;
    esac
  done <"$wanted"
  ((${#lost[@]} == 0)) ||
    fail "Linux $version does not take these options of images/kernel:" "${lost[@]}"
}

build() {
  local source=$work/linux-$version release
  if [[ $arch == x86_64 ]]; then
    kernel_make vmlinux
    "${cross}objcopy" --strip-debug --remove-section=.comment "$source/vmlinux" "$work/vmlinux"
  else
    kernel_make Image
    cp "$source/arch/arm64/boot/Image" "$work/vmlinux"
  fi
  release=$(<"$source/include/config/kernel.release")
  mkdir -p "$out"
  cp "$source/.config" "$out/.config.new"
  mv "$out/.config.new" "$out/config-$release-$arch"
  cp "$work/vmlinux" "$out/.vmlinux.new"
  mv "$out/.vmlinux.new" "$out/vmlinux-$release-$arch"
  (cd "$out" && sha256sum "vmlinux-$release-$arch" "config-$release-$arch")
}

case $arch in
  x86_64) kernel_arch=x86_64 ;;
  aarch64) kernel_arch=arm64 ;;
esac
cross=''
[[ $arch == "$(uname -m)" ]] || cross=$arch-linux-gnu-
fetch_sources
verify_sources
[[ $only != verify ]] || exit 0
unpack_sources
configure
if [[ $only == configure ]]; then
  mkdir -p "$out"
  cp "$work/linux-$version/.config" "$out/config-$version-$arch"
  exit 0
fi
build
