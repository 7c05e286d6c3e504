import type { ByteString } from "../ext4/byte_string.ts";
import { maxFileBytes, maxLinks, maxLinkTargetBytes } from "../ext4/format.ts";
import {
  type Attributes,
  type Content,
  Inode,
  type InodeBody,
  noContent,
  type Timestamp,
} from "../ext4/inode.ts";
import { entryPath } from "./entry_path.ts";
import { keptXattrs } from "./kept_xattrs.ts";
import type { LayerLimits } from "./limits.ts";
import { PathWalker } from "./path_walker.ts";
import { type Refuse, shown } from "./refusal.ts";
import type { TarEntry } from "./tar_entry.ts";
import { UpperNames } from "./upper_names.ts";
import { whiteoutOf } from "./whiteout.ts";

/** Told of contents that no name leads to any more. */
export interface ContentReleaser {
  release(content: Content): void;
}

/** A regular file of the tree. */
export type FileBody = Extract<InodeBody, { type: "file" }>;

/** A directory of the tree. */
export type DirectoryBody = Extract<InodeBody, { type: "directory" }>;

/**
 * The tree that layers make, applied one after the other, lowest first, entry by entry. It is in
 * memory only, so no name in a layer can lead anywhere else; symlinks on the way to an entry are
 * followed inside it, as if its root were `/`.
 *
 * The result is what umoci unpacks: a whiteout hides what lower layers have, not what its own layer
 * adds, in whatever order; a directory on a directory keeps what is in it; anything else replaces.
 */
export class MergedTree {
  readonly root: Inode;
  readonly #releaser: ContentReleaser;
  readonly #limits: LayerLimits;
  readonly #walker: PathWalker;
  #upper = new UpperNames();
  #metadataBytes = 0;

  /** @param made time of directories that no layer has an entry for */
  constructor(releaser: ContentReleaser, limits: LayerLimits, made: Timestamp) {
    this.#releaser = releaser;
    this.#limits = limits;
    const implicit: Attributes = { mode: 0o755, uid: 0, gid: 0, mtime: made, xattrs: [] };
    const directory = () => new Inode(implicit, { type: "directory", children: new Map() });
    this.root = directory();
    this.#walker = new PathWalker(this.root, limits, directory);
  }

  /** What comes from here on is of the next layer. */
  beginLayer(): void {
    this.#upper = new UpperNames();
  }

  /**
   * Applies an entry.
   *
   * @returns the file whose content is to be set, if it is one
   * @throws BangerError `untrusted` when it breaks a rule
   */
  apply(entry: TarEntry, refuse: Refuse): FileBody | undefined {
    const path = entryPath(entry.name, refuse);
    this.#count(entry, refuse);
    const name = path.pop();
    if (name === undefined) {
      this.#applyRoot(entry, refuse);
      return undefined;
    }
    const whiteout = whiteoutOf(name);
    if (whiteout !== undefined) {
      if (whiteout.type === "unsafe") {
        throw refuse("is a whiteout of no name", "IMAGE_UNSAFE_ENTRY");
      }
      const parent = this.#walker.find(path, refuse);
      if (parent === undefined || whiteout.type === "ignored") return undefined;
      if (whiteout.type === "opaque") this.#clearLower(parent);
      else this.#whiteOut(parent, whiteout.name);
      return undefined;
    }
    const steps = this.#walker.make(path, refuse);
    for (const { directory, name } of steps.named) this.#upper.add(directory, name);
    const parent = steps.end;
    const body = this.#place(parent, name, entry, refuse);
    this.#upper.add(parent, name);
    return body;
  }

  /** @returns the new file, if the entry is one */
  #place(
    parent: DirectoryBody,
    name: ByteString,
    entry: TarEntry,
    refuse: Refuse,
  ): FileBody | undefined {
    const existing = parent.children.get(name);
    if (entry.type === "directory" && existing?.body.type === "directory") {
      existing.attributes = attributesOf(entry, refuse);
      return undefined;
    }
    const inode = entry.type === "hardlink"
      ? this.#linked(entry, refuse)
      : new Inode(attributesOf(entry, refuse), bodyOf(entry, refuse));
    if (inode === existing) return undefined;
    if (existing !== undefined) this.#drop(existing);
    inode.links++;
    parent.children.set(name, inode);
    return inode.body.type === "file" && entry.type === "file" ? inode.body : undefined;
  }

  #applyRoot(entry: TarEntry, refuse: Refuse): void {
    if (entry.type !== "directory") {
      throw refuse("would replace the root directory", "IMAGE_UNSAFE_ENTRY");
    }
    this.root.attributes = attributesOf(entry, refuse);
  }

  /** The inode that a hard link is to; its name is one of the image, in this layer or below. */
  #linked(entry: TarEntry, refuse: Refuse): Inode {
    const path = entryPath(entry.link, (rule, code) => refuse(`is a link that ${rule}`, code));
    const name = path.pop();
    const target = name === undefined
      ? undefined
      : this.#walker.find(path, refuse)?.children.get(name);
    if (target === undefined) {
      throw refuse(`is a link to ${shown(entry.link)}, which does not exist`, "IMAGE_UNSAFE_ENTRY");
    }
    if (target.body.type === "directory") {
      throw refuse(`is a link to ${shown(entry.link)}, a directory`, "IMAGE_UNSAFE_ENTRY");
    }
    if (target.links >= maxLinks) {
      throw refuse(`gives a file more than ${maxLinks} names`, "IMAGE_LIMIT");
    }
    return target;
  }

  /** Takes away what lower layers have under a name. */
  #whiteOut(parent: DirectoryBody, name: ByteString): void {
    const existing = parent.children.get(name);
    if (existing === undefined) return;
    if (!this.#upper.has(parent, name)) {
      parent.children.delete(name);
      this.#drop(existing);
    } else if (existing.body.type === "directory") this.#clearLower(existing.body);
  }

  /** Takes away everything below a directory that is not of this layer. */
  #clearLower(start: DirectoryBody): void {
    const open = [start];
    for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
      // Only this layer's names are left in one that was cleared before.
      if (!this.#upper.beginClearing(directory)) continue;
      for (const [name, child] of directory.children) {
        if (!this.#upper.has(directory, name)) {
          directory.children.delete(name);
          this.#drop(child);
        } else if (child.body.type === "directory") open.push(child.body);
      }
    }
  }

  /** An inode lost a name: with the last, its content is released; a directory goes with all in it. */
  #drop(inode: Inode): void {
    const open = [inode];
    for (let each = open.pop(); each !== undefined; each = open.pop()) {
      const { body } = each;
      if (body.type === "directory") {
        for (const child of body.children.values()) open.push(child);
      } else if (--each.links === 0 && body.type === "file") {
        this.#releaser.release(body.content);
        body.content = noContent;
      }
    }
  }

  #count(entry: TarEntry, refuse: Refuse): void {
    let bytes = entry.name.length + entry.link.length;
    for (const { name, value } of entry.xattrs) bytes += name.length + value.length;
    this.#metadataBytes += bytes;
    if (this.#metadataBytes > this.#limits.metadataBytes) {
      const rule = `is beyond the limit of ${this.#limits.metadataBytes} bytes of names, links ` +
        "and attributes";
      throw refuse(rule, "IMAGE_LIMIT");
    }
  }
}

function attributesOf(entry: TarEntry, refuse: Refuse): Attributes {
  const { mode, uid, gid, mtime } = entry;
  return {
    // Linux ignores the mode of a symlink and shows this one.
    mode: entry.type === "symlink" ? 0o777 : mode,
    uid,
    gid,
    mtime,
    xattrs: keptXattrs(entry, refuse),
  };
}

function bodyOf(entry: TarEntry, refuse: Refuse): InodeBody {
  switch (entry.type) {
    case "directory":
      return { type: "directory", children: new Map() };
    case "symlink":
      if (entry.link === "" || entry.link.length > maxLinkTargetBytes) {
        throw refuse("is a symlink whose target Linux cannot have", "IMAGE_UNSAFE_ENTRY");
      }
      return { type: "symlink", target: entry.link };
    case "character":
    case "block":
      return { type: entry.type, major: entry.major, minor: entry.minor };
    case "fifo":
      return { type: "fifo" };
    default:
      if (entry.size > maxFileBytes) {
        throw refuse(`is a file of ${entry.size} bytes, more than ext4 can hold`, "IMAGE_LIMIT");
      }
      return { type: "file", content: noContent };
  }
}
