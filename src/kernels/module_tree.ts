import { BangerError, reasonOf } from "../model/errors.ts";
import { type ModuleInfo, moduleName, readModuleInfo } from "./module_info.ts";
import { ModuleDirectory, type ModuleSource } from "./module_source.ts";

/** One module of a tree. */
export interface ModuleFile {
  /** Canonical name, with underscores. */
  readonly name: string;
  /** Path below the tree's root (`kernel/drivers/virtio/virtio.ko`). */
  readonly path: string;
}

/**
 * The modules of one `/lib/modules/VERSION` tree, as the Debian package leaves them: uncompressed
 * `.ko` files and `modules.builtin`; `modules.dep` is not needed.
 */
export class ModuleTree {
  readonly #source: ModuleSource;
  /** Every module by canonical name. */
  readonly files: ReadonlyMap<string, ModuleFile>;
  /** Canonical names of what is built into the kernel. */
  readonly builtin: ReadonlySet<string>;
  readonly #infos = new Map<string, ModuleInfo>();

  private constructor(
    source: ModuleSource,
    files: ReadonlyMap<string, ModuleFile>,
    builtin: ReadonlySet<string>,
  ) {
    this.#source = source;
    this.files = files;
    this.builtin = builtin;
  }

  /**
   * @param from a directory, or what the files are read from; it stays open as long as the tree is used
   * @throws BangerError `untrusted` when it is not a module tree
   */
  static async open(from: string | ModuleSource): Promise<ModuleTree> {
    const source = typeof from === "string" ? new ModuleDirectory(from) : from;
    const files = new Map<string, ModuleFile>();
    let builtin: string;
    try {
      for await (const path of source.list("kernel")) {
        if (!path.endsWith(".ko")) continue;
        const name = nameOfPath(path);
        files.set(name, { name, path });
      }
      builtin = new TextDecoder().decode(await source.read("modules.builtin"));
    } catch (cause) {
      throw new BangerError(
        "untrusted",
        `Cannot read modules "${source.name}": not a module tree`,
        {
          detail: reasonOf(cause),
          cause,
        },
      );
    }
    const names = builtin.split("\n").filter((line) => line !== "").map(nameOfPath);
    return new ModuleTree(source, files, new Set(names));
  }

  /** The bytes of a module. */
  read(file: ModuleFile): Promise<Uint8Array> {
    return this.#source.read(file.path);
  }

  /**
   * What a module says about itself.
   *
   * @throws BangerError `untrusted` when the file is not a module
   */
  async info(file: ModuleFile): Promise<ModuleInfo> {
    const known = this.#infos.get(file.name);
    if (known !== undefined) return known;
    const info = readModuleInfo(await this.read(file), file.path);
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

function nameOfPath(path: string): string {
  return moduleName(path.slice(path.lastIndexOf("/") + 1).replace(/\.ko$/, ""));
}
