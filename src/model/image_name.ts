import { type ImageReference, parseImageReference } from "./image_reference.ts";
import { type LocalImageSource, parseImageSource } from "./image_source.ts";
import { checkName, maxNameLength, nameProblem } from "./names.ts";

/** See {@linkcode parseImageWord}. */
export type ImageWord =
  | { readonly name: string }
  | { readonly reference: ImageReference }
  | { readonly local: LocalImageSource };

/**
 * What a user means by the word behind `--image` or `image pull`: `oci:` and `docker-archive:` are in
 * front of a path, a reference has a slash, a colon or an at sign, everything else is the name of an
 * image that is here or that banger can build. So a mistyped name asks nobody on the network.
 *
 * @throws BangerError `invalid`
 */
export function parseImageWord(word: string): ImageWord {
  if (!/[/:@]/.test(word)) return { name: checkName("image", word) };
  const source = parseImageSource(word);
  return source.kind === "registry" ? { reference: source.reference } : { local: source };
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

/**
 * The name here of an image that the user has in files, unless the user gives another: what an
 * archive calls it, or else what the directory or the file is called.
 *
 * @param names what the image is called in its index, or its `RepoTags`
 */
export function localSourceName(source: LocalImageSource, names: readonly string[]): string {
  const base = source.path.slice(source.path.lastIndexOf("/") + 1);
  if (source.kind === "oci-layout") {
    const { tag } = source;
    if (tag === null || tag === "latest") return asName(base);
    return /[/:]/.test(tag) ? referenceName(tag) ?? asName(base) : asName(`${base}-${tag}`);
  }
  if (source.reference !== null) return localImageName(source.reference);
  return names.map(referenceName).find((name) => name !== undefined) ??
    asName(base.replace(/\.(tar(\.[a-z0-9]+)?|tgz)$/i, ""));
}

function referenceName(text: string): string | undefined {
  try {
    const name = localImageName(parseImageReference(text));
    return nameProblem("image", name) === undefined ? name : undefined;
  } catch {
    return undefined;
  }
}

/** The nearest name to a text that may be anything. */
function asName(text: string): string {
  const name = text.toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/^[^a-z0-9]+/, "")
    .slice(0, maxNameLength)
    .replace(/[^a-z0-9]+$/, "");
  return name === "" ? "image" : name;
}
