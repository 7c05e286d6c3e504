import type { ByteString } from "../ext4/byte_string.ts";
import { BangerError } from "../model/errors.ts";

/** Why a layer is refused: it is damaged, names what it must not, or is too much of something. */
export type RefusalCode = "IMAGE_DAMAGED" | "IMAGE_UNSAFE_ENTRY" | "IMAGE_LIMIT";

/**
 * Makes the error for a layer that breaks a rule. `rule` continues the sentence `entry "NAME" …`, for
 * example `has ".." in its name`.
 */
export type Refuse = (rule: string, code: RefusalCode) => BangerError;

const shownCharacters = 120;

/** @param where what breaks the rule: `entry "NAME"`, `it` */
export function refusal(
  label: string,
  where: string,
  rule: string,
  code: RefusalCode,
): BangerError {
  return new BangerError("untrusted", `Cannot unpack layer "${label}": ${where} ${rule}`, { code });
}

/** How errors show a name: without control characters, and not all of a long one. */
export function shown(name: ByteString): string {
  const text = name.length > shownCharacters ? `${name.slice(0, shownCharacters)}…` : name;
  return `"${
    text.replace(
      /[^\x20-\x7e…]|["\\]/g,
      (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
    )
  }"`;
}
