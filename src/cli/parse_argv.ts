import { BangerError } from "../model/errors.ts";
import {
  type ArgumentSpec,
  type Command,
  type Given,
  longName,
  type OptionSpec,
} from "./command.ts";
import { suggest } from "./suggest.ts";

type AnyGiven = Given<Record<string, OptionSpec>, Record<string, ArgumentSpec>>;

/** What a command line gave to a command, or that it asked for help. */
export type Parsed =
  | {
    readonly kind: "given";
    readonly given: AnyGiven;
    readonly globals: Globals;
  }
  | { readonly kind: "help" };

/** Options that every command takes. */
export interface Globals {
  readonly quiet: boolean;
  readonly verbose: boolean;
}

/** Declarations of the options that every command takes, for parser and help. */
export const globalOptions = {
  quiet: { kind: "flag", summary: "Print no stages and notices", short: "q" },
  verbose: { kind: "flag", summary: "Print details of failures", short: "v" },
  help: { kind: "flag", summary: "Print this help", short: "h" },
} as const satisfies Record<string, OptionSpec>;

/**
 * Parses the words behind a command's name. Options may stand anywhere before `--`; a value follows
 * as `--name VALUE`, `--name=VALUE`, `-n VALUE` or `-nVALUE`, and may start with a hyphen.
 *
 * @param path the command's name, such as `vm run`, for messages
 * @throws BangerError `invalid`
 */
export function parseArgv(path: string, command: Command, words: readonly string[]): Parsed {
  const state = new Parser(path, command);
  return state.parse(words);
}

class Parser {
  readonly #path: string;
  readonly #command: Command;
  readonly #specs: Map<string, { readonly key: string; readonly spec: OptionSpec }>;
  readonly #values: Record<string, unknown> = {};
  readonly #positional: string[] = [];

  constructor(path: string, command: Command) {
    this.#path = path;
    this.#command = command;
    this.#specs = new Map();
    for (const [key, spec] of Object.entries({ ...globalOptions, ...command.options })) {
      this.#specs.set(longName(key), { key, spec });
      if (spec.short !== undefined) this.#specs.set(`-${spec.short}`, { key, spec });
      this.#values[key] = spec.kind === "flag" ? false : spec.kind === "list" ? [] : undefined;
    }
  }

  parse(words: readonly string[]): Parsed {
    let rest: readonly string[] = [];
    let at = 0;
    while (at < words.length) {
      const word = words[at]!;
      at += 1;
      if (word === "--") {
        rest = this.#restOf(words.slice(at));
        break;
      }
      if (word.startsWith("-") && word !== "-") at += this.#option(word, words[at]);
      else this.#positional.push(word);
      if (this.#values["help"] === true) return { kind: "help" };
    }
    const args = this.#bindArguments();
    if (this.#command.rest?.required === true && rest.length === 0) {
      throw this.#refuse(`${this.#command.rest.placeholder} is missing`);
    }
    return {
      kind: "given",
      // Each value has the shape that the declaration of its command says.
      given: { options: this.#values, args, rest } as AnyGiven,
      globals: { quiet: this.#values["quiet"] === true, verbose: this.#values["verbose"] === true },
    };
  }

  /** Takes an option; answers how many of the next words it used. */
  #option(word: string, next: string | undefined): number {
    const long = word.startsWith("--");
    const equals = long ? word.indexOf("=") : -1;
    const name = equals >= 0 ? word.slice(0, equals) : long ? word : word.slice(0, 2);
    const known = this.#specs.get(name);
    if (known === undefined) throw this.#unknown(name);
    let attached = equals >= 0 ? word.slice(equals + 1) : long ? undefined : word.slice(2);
    if (!long && attached === "") attached = undefined;
    if (known.spec.kind === "flag") {
      if (long && attached !== undefined) throw this.#refuse(`${name} takes no value`);
      this.#values[known.key] = true;
      // Letters may be joined: `-qv`.
      if (!long && attached !== undefined) return this.#option(`-${attached}`, next);
      return 0;
    }
    const text = attached ?? next;
    if (text === undefined) throw this.#refuse(`${name} needs ${known.spec.placeholder}`);
    const parsed: unknown = known.spec.parse(text);
    if (known.spec.kind === "value") this.#values[known.key] = parsed;
    else (this.#values[known.key] as unknown[]).push(parsed);
    return attached === undefined ? 1 : 0;
  }

  #restOf(words: readonly string[]): readonly string[] {
    if (this.#command.rest !== undefined) return words;
    this.#positional.push(...words);
    return [];
  }

  #bindArguments(): Record<string, string | readonly string[] | undefined> {
    const bound: Record<string, string | readonly string[] | undefined> = {};
    let at = 0;
    for (const [key, spec] of Object.entries(this.#command.args)) {
      if (spec.count === "many" || spec.count === "any") {
        bound[key] = this.#positional.slice(at);
        if (spec.count === "many" && at >= this.#positional.length) {
          throw this.#refuse(`${spec.placeholder} is missing`);
        }
        at = this.#positional.length;
      } else {
        if (spec.count === "one" && at >= this.#positional.length) {
          throw this.#refuse(`${spec.placeholder} is missing`);
        }
        bound[key] = this.#positional[at];
        at += 1;
      }
    }
    if (at < this.#positional.length) throw this.#superfluous(this.#positional[at]!);
    return bound;
  }

  #superfluous(word: string): BangerError {
    const rest = this.#command.rest;
    return this.#refuse(
      `${JSON.stringify(word)} is one word too many`,
      rest === undefined ? undefined : `Put ${rest.placeholder} behind --`,
    );
  }

  #unknown(name: string): BangerError {
    const near = suggest(name, [...this.#specs.keys()].filter((known) => known.startsWith("--")));
    const hint = near === undefined ? undefined : `Did you mean ${near}?`;
    return this.#refuse(`there is no option ${JSON.stringify(name)}`, hint);
  }

  #refuse(why: string, hint = `banger ${this.#path} --help`): BangerError {
    return new BangerError("invalid", `Cannot run "banger ${this.#path}": ${why}`, { hint });
  }
}
