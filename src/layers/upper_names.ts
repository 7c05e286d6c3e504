import type { ByteString } from "../ext4/byte_string.ts";
import type { DirectoryBody } from "./merged_tree.ts";

/** Which names of which directories the current layer has: a whiteout leaves them. */
export class UpperNames {
  readonly #names = new Map<DirectoryBody, Set<ByteString>>();
  readonly #cleared = new Set<DirectoryBody>();

  add(directory: DirectoryBody, name: ByteString): void {
    const names = this.#names.get(directory);
    if (names === undefined) this.#names.set(directory, new Set([name]));
    else names.add(name);
  }

  has(directory: DirectoryBody, name: ByteString): boolean {
    return this.#names.get(directory)?.has(name) ?? false;
  }

  /** Whether lower names of `directory` were not taken away before in this layer; now they are. */
  beginClearing(directory: DirectoryBody): boolean {
    if (this.#cleared.has(directory)) return false;
    this.#cleared.add(directory);
    return true;
  }
}
