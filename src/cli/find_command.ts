import { BangerError } from "../model/errors.ts";
import { commandTree, type Group, isGroup, type Leaf } from "./command_tree.ts";

/** What the first words of the command line name. */
export type Found =
  | { readonly kind: "root_help" }
  | { readonly kind: "version" }
  | { readonly kind: "group_help"; readonly name: string; readonly group: Group }
  | {
    readonly kind: "command";
    readonly path: string;
    readonly leaf: Leaf;
    readonly words: readonly string[];
  };

const helpWords = ["--help", "-h", "help"];

/**
 * Finds the command that `argv` names. `help WORDS…` is `WORDS… --help`.
 *
 * @throws BangerError `invalid` for unknown words, with a suggestion
 */
export async function findCommand(argv: readonly string[]): Promise<Found> {
  const [first, second] = argv;
  if (first === undefined || (helpWords.includes(first) && argv.length === 1)) {
    return { kind: "root_help" };
  }
  if (first === "--version" || first === "-V") return { kind: "version" };
  if (first === "help") return await findCommand([...argv.slice(1, 4), "--help"]);
  const entry = own(commandTree, first);
  if (entry === undefined) throw await unknown("", first, commandTree);
  if (!isGroup(entry)) return { kind: "command", path: first, leaf: entry, words: argv.slice(1) };
  if (second === undefined || helpWords.includes(second)) {
    return { kind: "group_help", name: first, group: entry };
  }
  const leaf = own(entry.commands, second);
  if (leaf === undefined) throw await unknown(first, second, entry.commands);
  const third = argv[2] === undefined ? undefined : own(leaf.subcommands ?? {}, argv[2]);
  if (third !== undefined) {
    const path = `${first} ${second} ${argv[2]}`;
    return { kind: "command", path, leaf: third, words: argv.slice(3) };
  }
  return { kind: "command", path: `${first} ${second}`, leaf, words: argv.slice(2) };
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

async function unknown(
  path: string,
  word: string,
  table: Readonly<Record<string, unknown>>,
): Promise<BangerError> {
  const { suggest } = await import("./suggest.ts");
  const prefix = path === "" ? "banger" : `banger ${path}`;
  const near = suggest(word, Object.keys(table)) ?? elsewhere(path, word);
  const isOption = word.startsWith("-");
  return new BangerError(
    "invalid",
    `Cannot run "${prefix}": there is no ${isOption ? "option" : "command"} ${
      JSON.stringify(word)
    }`,
    { hint: near === undefined ? `${prefix} --help` : `Did you mean ${prefix} ${near}?` },
  );
}

/** `banger run` means `banger vm run`: a subcommand named without its group. */
function elsewhere(path: string, word: string): string | undefined {
  if (path !== "") return undefined;
  for (const [name, entry] of Object.entries(commandTree)) {
    if (isGroup(entry) && Object.hasOwn(entry.commands, word)) return `${name} ${word}`;
  }
  return undefined;
}
