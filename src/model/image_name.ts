import { type ImageReference, parseImageReference } from "./image_reference.ts";
import { checkName, maxNameLength } from "./names.ts";

/**
 * What a user means by the word behind `--image` or `image pull`: a reference has a slash, a colon or an
 * at sign, everything else is the name of an image that is here or that banger can build. So a mistyped
 * name asks nobody on the network.
 *
 * @throws BangerError `invalid`
 */
export function parseImageWord(
  word: string,
): { readonly name: string } | { readonly reference: ImageReference } {
  return /[/:@]/.test(word)
    ? { reference: parseImageReference(word) }
    : { name: checkName("image", word) };
}

/**
 * The name here of an image of a registry, unless the user gives another: the last part of its repository, and
 * its tag when that is not `latest`, such as `alpine-3.20`.
 */
export function localImageName({ path, tag, digest }: ImageReference): string {
  const last = path.slice(path.lastIndexOf("/") + 1);
  const version = tag === "latest" ? "" : tag ?? digest?.replace(/^.*:/, "").slice(0, 12) ?? "";
  return `${last}${version === "" ? "" : `-${version}`}`
    .toLowerCase()
    .slice(0, maxNameLength)
    .replace(/[^a-z0-9]+$/, "");
}
