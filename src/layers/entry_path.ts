import type { ByteString } from "../ext4/byte_string.ts";
import { maxNameBytes } from "../ext4/format.ts";
import { maxPathBytes } from "./limits.ts";
import type { Refuse } from "./refusal.ts";

/**
 * The components of an entry's name, which is relative to the root of the image however it starts.
 *
 * @throws BangerError `untrusted` when it has a `..` or is longer than Linux allows
 */
export function entryPath(name: ByteString, refuse: Refuse): ByteString[] {
  if (name.length > maxPathBytes) {
    throw refuse(`has a name of more than ${maxPathBytes} bytes`, "IMAGE_LIMIT");
  }
  if (name.includes("\0")) throw refuse("has a NUL in its name", "IMAGE_UNSAFE_ENTRY");
  const parts = componentsOf(name);
  for (const part of parts) {
    if (part === "..") throw refuse('has ".." in its name', "IMAGE_UNSAFE_ENTRY");
    if (part.length > maxNameBytes) {
      throw refuse(`has a part of more than ${maxNameBytes} bytes in its name`, "IMAGE_LIMIT");
    }
  }
  return parts;
}

/** The parts of a path between slashes, without empty ones and single dots. */
export function componentsOf(path: ByteString): ByteString[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}
