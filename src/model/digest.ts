import { BangerError } from "./errors.ts";

/** Content's own name: an algorithm and lower-case hexadecimal of the right length. */
export type Digest = `sha256:${string}` | `sha512:${string}`;

/** The algorithms that content is checked with. */
export type DigestAlgorithm = "sha256" | "sha512";

const pattern = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Whether `text` is a {@linkcode Digest}; then it has no character that means anything in a path. */
export function isDigest(text: unknown): text is Digest {
  return typeof text === "string" && pattern.test(text);
}

/** The two parts of a digest. */
export function digestParts(
  digest: Digest,
): { readonly algorithm: DigestAlgorithm; readonly hex: string } {
  if (!isDigest(digest)) {
    throw new BangerError("internal", `Cannot use ${JSON.stringify(digest)}: it is not a digest`);
  }
  const colon = digest.indexOf(":");
  return {
    algorithm: digest.startsWith("sha512") ? "sha512" : "sha256",
    hex: digest.slice(colon + 1),
  };
}
