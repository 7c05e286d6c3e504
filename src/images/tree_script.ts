import { BangerError } from "../model/errors.ts";
import type { ImageRecipe } from "./image_recipe.ts";

/**
 * The part of a shell program that makes the tree of `recipe` in the empty directory `$root`, as root:
 * all that is the same wherever the image is built. Arguments: `$1` the archive's address, `$2` its
 * keyring; `$tmp` is a directory for temporary files. The caller has set `-eu` and the umask 022.
 */
export function treeScript(recipe: ImageRecipe): string {
  return `# The host's resolv.conf and hostname, and device nodes, are taken out again below.
(cd / && TMPDIR="$tmp" mmdebstrap --verbose --mode=root --variant=minbase \\
  --format=directory --skip=check/qemu,check/signed-by,chroot/mount/sys \\
  --include=${recipe.packages.join(",")} \\
  --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \\
  --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' \\
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \\
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \\
  ${recipe.suite} "$root" "deb [signed-by=$2] $1 ${recipe.suite} main") >&2

put() {
  mkdir -p "$root\${1%/*}"
  rm -f "$root$1"
  cat >"$root$1"
  chmod "$2" "$root$1"
}
put /etc/apt/sources.list 0644 <<BANGER_EOF
deb $1 ${recipe.suite} main
deb $1 ${recipe.suite}-updates main
BANGER_EOF
${recipe.files.map(putCommand).join("")}
mkdir -p "$root/etc/systemd/system" "$root/etc/systemd/system-generators"
for unit in ${recipe.maskedUnits.join(" ")}; do
  ln -sfn /dev/null "$root/etc/systemd/system/$unit"
done
for generator in ${recipe.maskedGenerators.join(" ")}; do
  ln -sfn /dev/null "$root/etc/systemd/system-generators/$generator"
done
ln -sfn /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
${recipe.removed.map((path) => `rm -f "$root${safe(path)}"\n`).join("")}${
    recipe.emptied.map((path) => `: >"$root${safe(path)}"\n`).join("")
  }find "$root/dev" "$root/run" "$root/tmp" -mindepth 1 -delete
# Tells systemd that nothing under /usr is newer than what it derived from it: no rebuild at boot.
touch "$root/etc/.updated" "$root/var/.updated"
`;
}

function putCommand(file: ImageRecipe["files"][number]): string {
  if (/^BANGER_EOF$/m.test(file.text) || !file.text.endsWith("\n")) {
    throw new BangerError("internal", `Cannot put "${file.path}" into an image: not a text file`);
  }
  const mode = file.mode.toString(8).padStart(4, "0");
  return `put ${safe(file.path)} ${mode} <<'BANGER_EOF'\n${file.text}BANGER_EOF\n`;
}

/** Recipes are constants, but what is pasted into a shell program is looked at all the same. */
function safe(path: string): string {
  if (/^(\/[A-Za-z0-9._-]+)+$/.test(path) && !/\/\.\.?(\/|$)/.test(path)) return path;
  throw new BangerError("internal", `Cannot use path "${path}" in an image recipe`);
}
