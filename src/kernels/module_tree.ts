import { BangerError } from "../model/errors.ts";
import { type ModuleInfo, moduleName, readModuleInfo } from "./module_info.ts";

const maxDepth = 16;

/** One module of a tree. */
export interface ModuleFile {
  /** Canonical name, with underscores. */
  readonly name: string;
  /** Path below the tree's root (`kernel/drivers/virtio/virtio.ko`). */
  readonly path: string;
}

/**
 * The modules below one `/lib/modules/VERSION` directory, as the Debian package leaves them:
 * uncompressed `.ko` files and `modules.builtin`, without `modules.dep`.
 */
export class ModuleTree {
  readonly root: string;
  /** Every module by canonical name. */
  readonly files: ReadonlyMap<string, ModuleFile>;
  /** Canonical names of what is built into the kernel. */
  readonly builtin: ReadonlySet<string>;
  readonly #infos = new Map<string, ModuleInfo>();

  private constructor(
    root: string,
    files: ReadonlyMap<string, ModuleFile>,
    builtin: ReadonlySet<string>,
  ) {
    this.root = root;
    this.files = files;
    this.builtin = builtin;
  }

  /** @throws BangerError `untrusted` when `root` is not a module tree */
  static async open(root: string): Promise<ModuleTree> {
    const files = new Map<string, ModuleFile>();
    let builtin: string;
    try {
      await collect(root, "kernel", 0, files);
      builtin = await Deno.readTextFile(`${root}/modules.builtin`);
    } catch (cause) {
      throw new BangerError("untrusted", `Cannot read modules "${root}": not a module tree`, {
        cause,
      });
    }
    const names = builtin.split("\n").filter((line) => line !== "").map(nameOfPath);
    return new ModuleTree(root, files, new Set(names));
  }

  /**
   * What a module says about itself.
   *
   * @throws BangerError `untrusted` when the file is not a module
   */
  async info(file: ModuleFile): Promise<ModuleInfo> {
    const known = this.#infos.get(file.name);
    if (known !== undefined) return known;
    const info = readModuleInfo(await Deno.readFile(`${this.root}/${file.path}`), file.path);
    this.#infos.set(file.name, info);
    return info;
  }

  /**
   * The files to insert for `wanted`, each after everything that it needs. Names that are built
   * in are left out; so are `wanted` names that this kernel does not have when `optional` says so.
   *
   * @throws BangerError `untrusted` when a needed module is missing or modules need each other
   */
  async loadOrder(
    wanted: readonly string[],
    optional: ReadonlySet<string> = new Set(),
  ): Promise<ModuleFile[]> {
    const order = new Map<string, ModuleFile>();
    for (const name of wanted.map(moduleName)) {
      if (this.files.has(name) || !optional.has(name)) await this.#visit(name, order, []);
    }
    return [...order.values()];
  }

  /**
   * The modules that `file` cannot be inserted without, each after everything that it needs.
   *
   * @throws BangerError `untrusted` when one is missing or modules need each other
   */
  async hardDependencies(file: ModuleFile): Promise<ModuleFile[]> {
    const order = new Map<string, ModuleFile>();
    await this.#visit(file.name, order, [], false);
    order.delete(file.name);
    return [...order.values()];
  }

  async #visit(
    name: string,
    order: Map<string, ModuleFile>,
    path: string[],
    soft = true,
  ): Promise<void> {
    if (order.has(name) || this.builtin.has(name)) return;
    const file = this.files.get(name);
    if (file === undefined || path.includes(name)) {
      const state = file === undefined
        ? "this kernel has no such module"
        : "modules need each other";
      const chain = [...path, name].join(" -> ");
      throw new BangerError("untrusted", `Cannot load module "${name}": ${state} (${chain})`);
    }
    const info = await this.info(file);
    for (const needed of info.depends) await this.#visit(needed, order, [...path, name], soft);
    for (const wish of soft ? info.softDepends : []) {
      if (this.files.has(wish)) await this.#visit(wish, order, [...path, name]);
    }
    order.set(name, file);
  }
}

async function collect(
  root: string,
  below: string,
  depth: number,
  files: Map<string, ModuleFile>,
): Promise<void> {
  if (depth > maxDepth) throw new TypeError(`"${below}" is too deep`);
  for await (const entry of Deno.readDir(`${root}/${below}`)) {
    const path = `${below}/${entry.name}`;
    if (entry.isDirectory) await collect(root, path, depth + 1, files);
    else if (entry.isFile && path.endsWith(".ko")) {
      const name = nameOfPath(path);
      files.set(name, { name, path });
    }
  }
}

function nameOfPath(path: string): string {
  return moduleName(path.slice(path.lastIndexOf("/") + 1).replace(/\.ko$/, ""));
}
