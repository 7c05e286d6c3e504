/**
 * Writes `images/golden/NAME/tree.sh` for every recipe: the recipe as a shell program that needs nothing
 * of banger, for the Dockerfile beside it and for whoever has neither Docker nor banger. A test compares
 * the files with the recipes.
 *
 * usage: golden_tree.ts
 */
import { debianBookworm } from "../../src/images/debian_bookworm.ts";
import { debianBookwormDocker } from "../../src/images/debian_bookworm_docker.ts";
import type { ImageRecipe } from "../../src/images/image_recipe.ts";
import { treeScript } from "../../src/images/tree_script.ts";

/** The recipes of golden images. */
export const goldenRecipes: readonly ImageRecipe[] = [debianBookworm, debianBookwormDocker];

/** Where a recipe's program is, relative to the project. */
export function treePath(recipe: ImageRecipe): string {
  return `images/golden/${recipe.name}/tree.sh`;
}

/** The program. */
export function goldenTree(recipe: ImageRecipe): string {
  return `#!/bin/sh
# Makes the tree of ${recipe.name} in the new directory ROOT, as root, with mmdebstrap.
# Generated from src/images by scripts/publish/golden_tree.ts: change it there.
#
# usage: tree.sh MIRROR KEYRING ROOT
set -eu
umask 022
[ $# -eq 3 ] || { echo 'usage: tree.sh MIRROR KEYRING ROOT' >&2; exit 2; }
mkdir "$3"
root=$(cd "$3" && pwd)
tmp=$(mktemp -d)
chmod 1777 "$tmp"
trap 'rm -rf "$tmp"' EXIT

${treeScript(recipe)}`;
}

if (import.meta.main) {
  const root = new URL("../..", import.meta.url).pathname;
  for (const recipe of goldenRecipes) {
    const path = `${root}${treePath(recipe)}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(path, goldenTree(recipe));
    await Deno.chmod(path, 0o755);
  }
}
