import { BangerError, reasonOf } from "../model/errors.ts";
import { type ModuleInfo, moduleName, readModuleInfo } from "./module_info.ts";
import { ModuleDirectory, type ModuleSource } from "./module_source.ts";
import { isModulePath, plainModulePath, unpackModule } from "./unpack_module.ts";

/** Most that all compressed modules of a tree may unpack to, each time that one is read; a large kernel's take half. */
const maxUnpackedBytes = 1024 ** 3;
/** Most times that one is unpacked: a tree that needs more is made to keep this host busy. */
const maxUnpacked = 10_000;

/** One module of a tree. */
export interface ModuleFile {
  /** Canonical name, with underscores. */
  readonly name: string;
  /** Path below the tree's root (`kernel/drivers/virtio/virtio.ko`, or `….ko.xz`). */
  readonly path: string;
}

/** How a tree is read. */
export interface ModuleTreeOptions {
  /** Ends the unpacking of a module. */
  readonly signal?: AbortSignal | undefined;
  /** Most that its compressed modules may unpack to in all; 1 GiB when left out. */
  readonly unpackedBytes?: number;
}

/**
 * The modules of one `/lib/modules/VERSION` tree, as a distribution's package leaves them: `.ko` files,
 * plain or compressed (gzip, xz, zstd), and `modules.builtin`; `modules.dep` is not needed.
 */
export class ModuleTree {
  readonly #source: ModuleSource;
  /** Every module by canonical name. */
  readonly files: ReadonlyMap<string, ModuleFile>;
  /** Canonical names of what is built into the kernel. */
  readonly builtin: ReadonlySet<string>;
  readonly #infos = new Map<string, ModuleInfo>();
  readonly #signal: AbortSignal | undefined;
  #unpackedLeft = maxUnpacked;
  #unpackedBytesLeft: number;

  private constructor(
    source: ModuleSource,
    files: ReadonlyMap<string, ModuleFile>,
    builtin: ReadonlySet<string>,
    { signal, unpackedBytes = maxUnpackedBytes }: ModuleTreeOptions,
  ) {
    this.#source = source;
    this.files = files;
    this.builtin = builtin;
    this.#signal = signal;
    this.#unpackedBytesLeft = unpackedBytes;
  }

  /**
   * @param from a directory, or what the files are read from; it stays open as long as the tree is used
   * @throws BangerError `untrusted` when it is not a module tree
   */
  static async open(
    from: string | ModuleSource,
    options: ModuleTreeOptions = {},
  ): Promise<ModuleTree> {
    const source = typeof from === "string" ? new ModuleDirectory(from) : from;
    const files = new Map<string, ModuleFile>();
    let builtin: string;
    try {
      for await (const path of source.list("kernel")) {
        if (!isModulePath(path)) continue;
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
    return new ModuleTree(source, files, new Set(names), options);
  }

  /**
   * The bytes of a module, uncompressed.
   *
   * @throws BangerError as {@linkcode unpackModule}; Error when the file cannot be read
   */
  async read({ path }: ModuleFile): Promise<Uint8Array> {
    const stored = await this.#source.read(path);
    if (path === plainModulePath(path)) return stored;
    if (this.#unpackedLeft-- <= 0) {
      throw new BangerError("untrusted", `Cannot unpack module "${path}": it is one of too many`);
    }
    const maxBytes = this.#unpackedBytesLeft;
    const module = await unpackModule(stored, path, { maxBytes, signal: this.#signal });
    this.#unpackedBytesLeft -= module.length;
    return module;
  }

  /**
   * What a module says about itself.
   *
   * @throws BangerError `untrusted` when the file is not a module; as {@linkcode read}
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
  return moduleName(plainModulePath(path.slice(path.lastIndexOf("/") + 1)).replace(/\.ko$/, ""));
}
