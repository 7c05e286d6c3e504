import { closestWord } from "../../config/closest_word.ts";
import { debianBookworm } from "../../images/debian_bookworm.ts";
import { debianBookwormDocker } from "../../images/debian_bookworm_docker.ts";
import type { ImageRecipe } from "../../images/image_recipe.ts";
import { BangerError } from "../../model/errors.ts";

/** Images that banger can build, by name. */
export const imageRecipes: Readonly<Record<string, ImageRecipe>> = {
  [debianBookworm.name]: debianBookworm,
  [debianBookwormDocker.name]: debianBookwormDocker,
};

/**
 * The error for a name that is neither here nor can be pulled.
 *
 * @param present names of what is here
 * @param pullable names of what can be pulled
 */
export function unknownArtefact(
  action: string,
  noun: "image" | "kernel",
  name: string,
  present: readonly string[],
  pullable: readonly string[],
): BangerError {
  const known = [...new Set([...present, ...pullable])].sort();
  const close = closestWord(name, known);
  const meant = close === undefined ? "" : `Did you mean ${close}? `;
  return new BangerError("not_found", `Cannot ${action} ${noun} "${name}": there is none`, {
    hint: `${meant}These can be pulled: ${[...pullable].sort().join(", ")}`,
  });
}
