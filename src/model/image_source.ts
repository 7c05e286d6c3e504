import { absolutePath } from "./absolute_path.ts";
import { BangerError } from "./errors.ts";
import { type ImageReference, imageReferenceText, parseImageReference } from "./image_reference.ts";

/** Where the image of `image pull` is. */
export type ImageSource =
  | { readonly kind: "registry"; readonly reference: ImageReference }
  /** A directory in the form of the OCI image layout. */
  | { readonly kind: "oci-layout"; readonly path: string; readonly tag: string | null }
  /** A file as `docker save` writes it; one of its images by its name. */
  | {
    readonly kind: "docker-archive";
    readonly path: string;
    readonly reference: ImageReference | null;
  };

/** An image that the user has in files. */
export type LocalImageSource = Exclude<ImageSource, { readonly kind: "registry" }>;

const layoutPrefix = "oci:";
const archivePrefix = "docker-archive:";
const maxPathLength = 4096;
const layoutTagPattern = /^[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,254}$/;

/**
 * Reads `oci:DIR[:TAG]`, `docker-archive:FILE[:NAME[:TAG]]`, or else an image reference. A path ends
 * at its first colon, as with other tools that know these forms.
 *
 * @throws BangerError `invalid`
 */
export function parseImageSource(text: string): ImageSource {
  if (text.startsWith(layoutPrefix)) {
    const { path, rest } = splitPath(text, layoutPrefix);
    if (rest !== null && !layoutTagPattern.test(rest)) {
      throw badSource(text, "what is behind the directory is no tag");
    }
    return { kind: "oci-layout", path, tag: rest };
  }
  if (text.startsWith(archivePrefix)) {
    const { path, rest } = splitPath(text, archivePrefix);
    const reference = rest === null ? null : parseImageReference(rest);
    return { kind: "docker-archive", path, reference };
  }
  return { kind: "registry", reference: parseImageReference(text) };
}

/** The source in full, for records and messages. */
export function imageSourceText(source: ImageSource): string {
  switch (source.kind) {
    case "registry":
      return imageReferenceText(source.reference);
    case "oci-layout":
      return `${layoutPrefix}${source.path}${source.tag === null ? "" : `:${source.tag}`}`;
    case "docker-archive": {
      const { reference, path } = source;
      return `${archivePrefix}${path}${
        reference === null ? "" : `:${imageReferenceText(reference)}`
      }`;
    }
  }
}

/** The same source with a path that is absolute; `cwd` is what a relative one starts from. */
export function absoluteSource(source: LocalImageSource, cwd: string): LocalImageSource {
  return { ...source, path: absolutePath(source.path, cwd) };
}

function splitPath(text: string, prefix: string): { path: string; rest: string | null } {
  const colon = text.indexOf(":", prefix.length);
  const path = text.slice(prefix.length, colon < 0 ? undefined : colon);
  if (path === "") throw badSource(text, "it names no path");
  if (path.length > maxPathLength || path.includes("\0")) {
    throw badSource(text, "its path is too long or has a NUL");
  }
  return { path, rest: colon < 0 ? null : text.slice(colon + 1) };
}

function badSource(text: string, why: string): BangerError {
  const shown = text.length > 100 ? `${text.slice(0, 100)}…` : text;
  return new BangerError("invalid", `Cannot use image source ${JSON.stringify(shown)}: ${why}`, {
    hint: "Write oci:DIR, oci:DIR:TAG, docker-archive:FILE or docker-archive:FILE:NAME:TAG",
    code: "BAD_REFERENCE",
  });
}
