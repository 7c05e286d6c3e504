import type { ByteString } from "../ext4/byte_string.ts";
import { maxNameBytes } from "../ext4/format.ts";
import type { Inode } from "../ext4/inode.ts";
import { componentsOf } from "./entry_path.ts";
import { type LayerLimits, maxSymlinks } from "./limits.ts";
import type { DirectoryBody } from "./merged_tree.ts";
import type { Refuse } from "./refusal.ts";

/** A name in a directory. */
export interface NamedStep {
  readonly directory: DirectoryBody;
  readonly name: ByteString;
}

/** Where a path leads to, and the names on the way there, without symlinks. */
export interface Walk {
  readonly end: DirectoryBody;
  readonly named: readonly NamedStep[];
}

/** Finds directories of the tree by paths; symlinks are followed as if its root were `/`. */
export class PathWalker {
  readonly #root: DirectoryBody;
  readonly #limits: LayerLimits;
  readonly #newDirectory: () => Inode;
  #lookups = 0;

  constructor(root: Inode, limits: LayerLimits, newDirectory: () => Inode) {
    if (root.body.type !== "directory") throw new Error("the root is no directory");
    this.#root = root.body;
    this.#limits = limits;
    this.#newDirectory = newDirectory;
  }

  /** The directory at `path`; `undefined` when there is none. */
  find(path: readonly ByteString[], refuse: Refuse): DirectoryBody | undefined {
    return this.#walk(path, false, refuse)?.end;
  }

  /**
   * The directory at `path`, made where it is missing.
   *
   * @throws BangerError `untrusted` when something on the way is neither directory nor symlink to one
   */
  make(path: readonly ByteString[], refuse: Refuse): Walk {
    return this.#walk(path, true, refuse)!;
  }

  #walk(path: readonly ByteString[], isMaking: boolean, refuse: Refuse): Walk | undefined {
    const named: NamedStep[] = [];
    const open = path.toReversed();
    let directory = this.#root;
    let symlinks = 0;
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (++this.#lookups > this.#limits.lookups) {
        throw refuse(`is beyond the limit of ${this.#limits.lookups} lookups`, "IMAGE_LIMIT");
      }
      if (name === "..") {
        directory = named.pop()?.directory ?? this.#root;
        continue;
      }
      const existing = directory.children.get(name);
      if (existing?.body.type === "symlink") {
        if (++symlinks > maxSymlinks) {
          throw refuse(`is below more than ${maxSymlinks} symlinks`, "IMAGE_UNSAFE_ENTRY");
        }
        const { target } = existing.body;
        if (target.startsWith("/")) {
          named.length = 0;
          directory = this.#root;
        }
        open.push(...componentsOf(target).reverse());
        continue;
      }
      const next = existing ?? (isMaking ? this.#add(directory, name, refuse) : undefined);
      if (next?.body.type !== "directory") {
        if (!isMaking) return undefined;
        throw refuse("is below something that is no directory", "IMAGE_UNSAFE_ENTRY");
      }
      named.push({ directory, name });
      if (named.length > this.#limits.depth) {
        throw refuse(`is below more than ${this.#limits.depth} directories`, "IMAGE_LIMIT");
      }
      directory = next.body;
    }
    return { end: directory, named };
  }

  #add(directory: DirectoryBody, name: ByteString, refuse: Refuse): Inode {
    // Only a part of a symlink's target can be so long here.
    if (name.length > maxNameBytes) {
      throw refuse("is below a symlink to a name that Linux cannot have", "IMAGE_UNSAFE_ENTRY");
    }
    const made = this.#newDirectory();
    directory.children.set(name, made);
    return made;
  }
}
