import { debianBookworm } from "../../src/images/debian_bookworm.ts";
import type { ImageRecipe } from "../../src/images/image_recipe.ts";

/** The default image with few packages: one with a file capability and one with a setuid program. */
export const smallRecipe: ImageRecipe = {
  ...debianBookworm,
  packages: ["iputils-ping", "sudo"],
  virtualBytes: 2 * 1024 ** 3,
  neededBytes: 400 * 1024 ** 2,
};
