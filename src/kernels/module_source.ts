/** Where the files of a `/lib/modules/VERSION` tree are read from: a directory, or a modules disk. */
export interface ModuleSource {
  /** How errors name it. */
  readonly name: string;
  /** Paths of all regular files below `directory`, relative to the tree's root. */
  list(directory: string): AsyncIterable<string>;
  /** The bytes of a file. @throws Error when there is none */
  read(path: string): Promise<Uint8Array>;
}

const maxDepth = 16;

/** A tree as the package leaves it on the host's disk. */
export class ModuleDirectory implements ModuleSource {
  readonly name: string;

  /** @param root absolute path */
  constructor(root: string) {
    this.name = root;
  }

  async *list(directory: string, depth = 0): AsyncGenerator<string> {
    if (depth > maxDepth) throw new TypeError(`"${directory}" is too deep`);
    for await (const entry of Deno.readDir(`${this.name}/${directory}`)) {
      const path = `${directory}/${entry.name}`;
      if (entry.isDirectory) yield* this.list(path, depth + 1);
      else if (entry.isFile) yield path;
    }
  }

  read(path: string): Promise<Uint8Array> {
    return Deno.readFile(`${this.name}/${path}`);
  }
}
