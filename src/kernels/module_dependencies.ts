import { type IndexEntry, moduleIndex } from "./module_index.ts";
import { moduleName } from "./module_info.ts";
import type { ModuleTree } from "./module_tree.ts";
import { plainModulePath } from "./unpack_module.ts";

/**
 * Writes what `depmod` would into a module tree (modules.dep(5), depmod(8)), so that `modprobe` of
 * kmod and of busybox work in the guest: Debian's package leaves it to its installation script, and
 * the host need not have kmod. Symbols are left empty: nothing is asked for by symbol.
 *
 * @throws BangerError `untrusted` when a module is damaged or one that it needs is missing
 */
export async function writeModuleDependencies(root: string, tree: ModuleTree): Promise<void> {
  const dependencies: IndexEntry[] = [];
  const aliases: IndexEntry[] = [];
  const softDependencies: string[] = [];
  const devices: string[] = [];
  const files = await inBuildOrder(root, tree);
  for (const [priority, file] of files.entries()) {
    const info = await tree.info(file);
    const needed = await tree.hardDependencies(file);
    // The last one named is inserted first.
    const paths = needed.toReversed().map((each) => ` ${each.path}`).join("");
    dependencies.push({ key: file.name, value: `${file.path}:${paths}`, priority });
    for (const alias of info.aliases) {
      aliases.push({ key: aliasKey(alias), value: file.name, priority });
    }
    for (const line of info.softDependLines) {
      softDependencies.push(`softdep ${file.name} ${line}\n`);
    }
    const device = deviceLine(file.name, info.aliases);
    if (device !== undefined) devices.push(device);
  }
  const builtin = [...tree.builtin].map((key) => ({ key, value: "", priority: 0 }));
  const builtinAliases = await readBuiltinAliases(root);
  const texts = {
    "modules.dep": dependencies.map(({ value }) => `${value}\n`).join(""),
    "modules.alias": aliases.map(({ key, value }) => `alias ${key} ${value}\n`).join(""),
    "modules.symbols": "",
    "modules.softdep": softDependencies.join(""),
    "modules.devname": devices.join(""),
  };
  const indexes = {
    "modules.dep.bin": dependencies,
    "modules.alias.bin": aliases,
    "modules.symbols.bin": [],
    "modules.builtin.bin": builtin,
    "modules.builtin.alias.bin": builtinAliases,
  };
  for (const [name, text] of Object.entries(texts)) {
    await Deno.writeTextFile(`${root}/${name}`, text);
  }
  for (const [name, entries] of Object.entries(indexes)) {
    await Deno.writeFile(`${root}/${name}`, moduleIndex(entries));
  }
}

/** All modules in the order of `modules.order`, which decides between drivers of one device. */
async function inBuildOrder(root: string, tree: ModuleTree) {
  let text = "";
  try {
    text = await Deno.readTextFile(`${root}/modules.order`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  // Older builds list modules that they compress later as plain ones.
  const ranks = new Map(text.split("\n").map((path, index) => [plainModulePath(path), index]));
  const rank = (path: string) => ranks.get(plainModulePath(path)) ?? Number.MAX_SAFE_INTEGER;
  return [...tree.files.values()].sort((a, b) =>
    rank(a.path) - rank(b.path) || (a.path < b.path ? -1 : 1)
  );
}

/** `-` and `_` are the same in an alias, but within brackets. */
function aliasKey(alias: string): string {
  return alias.split(/(\[[^\]]*\])/).map((part) => part.startsWith("[") ? part : moduleName(part))
    .join("");
}

/** The line of a driver that is loaded when its device node is opened. */
function deviceLine(name: string, aliases: readonly string[]): string | undefined {
  const node = aliases.map((alias) => /^devname:(.+)$/.exec(alias)?.[1]).find((found) => found);
  const numbers = aliases.map((alias) => /^(char|block)-major-(\d+)-(\d+)$/.exec(alias))
    .find((found) => found !== null);
  if (node === undefined || numbers === undefined || numbers === null) return undefined;
  const kind = numbers[1] === "char" ? "c" : "b";
  return `${name} ${node} ${kind}${numbers[2]}:${numbers[3]}\n`;
}

/** Aliases of what is built in: `NAME.alias=PATTERN`, separated by NUL. */
async function readBuiltinAliases(root: string): Promise<IndexEntry[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(`${root}/modules.builtin.modinfo`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  return text.split("\0").flatMap((line) => {
    const match = /^([^.=]+)\.alias=(.+)$/.exec(line);
    return match?.[1] === undefined || match[2] === undefined
      ? []
      : [{ key: aliasKey(match[2]), value: moduleName(match[1]), priority: 0 }];
  });
}
