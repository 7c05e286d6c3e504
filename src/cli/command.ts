import { BangerError } from "../model/errors.ts";
import type { CliContext } from "./context.ts";

/** A switch, such as `--force`. */
export interface FlagSpec {
  readonly kind: "flag";
  readonly summary: string;
  /** One letter, without the hyphen. */
  readonly short?: string;
}

/** An option with a value, such as `--name NAME`; the last one given counts. */
export interface ValueSpec<T> {
  readonly kind: "value";
  readonly summary: string;
  readonly placeholder: string;
  readonly short?: string;
  /** @throws BangerError `invalid` */
  readonly parse: (text: string) => T;
}

/** An option that may be given several times, such as `--env KEY=VALUE`. */
export interface ListSpec<T> {
  readonly kind: "list";
  readonly summary: string;
  readonly placeholder: string;
  readonly short?: string;
  /** @throws BangerError `invalid` */
  readonly parse: (text: string) => T;
}

/** An option of a command; its key in camel case gives the long name (`noWorkspace`: `--no-workspace`). */
// deno-lint-ignore no-explicit-any
export type OptionSpec = FlagSpec | ValueSpec<any> | ListSpec<any>;

/** A positional argument. A `many` one is the last and takes at least one word; `any` takes none as well. */
export interface ArgumentSpec {
  readonly count: "one" | "optional" | "many" | "any";
  readonly placeholder: string;
  readonly summary: string;
}

/** The words behind `--`. */
export interface RestSpec {
  readonly required: boolean;
  readonly placeholder: string;
  readonly summary: string;
}

type OptionValue<S> = S extends FlagSpec ? boolean
  : S extends ListSpec<infer T> ? readonly T[]
  : S extends ValueSpec<infer T> ? T | undefined
  : never;

type ArgumentValue<S extends ArgumentSpec> = S["count"] extends "many" | "any" ? readonly string[]
  : S["count"] extends "optional" ? string | undefined
  : string;

/** What the command line gave, typed by the declaration. */
export interface Given<
  O extends Record<string, OptionSpec>,
  A extends Record<string, ArgumentSpec>,
> {
  readonly options: { readonly [K in keyof O]: OptionValue<O[K]> };
  readonly args: { readonly [K in keyof A]: ArgumentValue<A[K]> };
  /** The words behind `--`; empty without. */
  readonly rest: readonly string[];
}

/** A command: what it takes, how it is explained, what it does. */
export interface CommandSpec<
  O extends Record<string, OptionSpec>,
  A extends Record<string, ArgumentSpec>,
> {
  /** Paragraphs below the usage line. */
  readonly description: string;
  readonly options: O;
  readonly args: A;
  readonly rest?: RestSpec;
  /** Command lines, each with what it does. */
  readonly examples?: readonly (readonly [string, string])[];
  /**
   * `own`: failures have the exit codes of their kind. `passed_through`: the guest's code is the
   * command's own, so every failure of banger's is 125.
   */
  readonly exitCodes?: "own" | "passed_through";
  /** Does it and resolves to the exit code. */
  readonly run: (context: CliContext, given: Given<O, A>) => Promise<number>;
}

/** A command whose types are checked already. */
export type Command = CommandSpec<Record<string, OptionSpec>, Record<string, ArgumentSpec>>;

/** Declares a command; the action's parameter is typed by the declaration. */
export function defineCommand<
  const O extends Record<string, OptionSpec>,
  const A extends Record<string, ArgumentSpec>,
>(spec: CommandSpec<O, A>): Command {
  return spec as unknown as Command;
}

/** A switch. */
export function flag(summary: string, short?: string): FlagSpec {
  return { kind: "flag", summary, ...(short === undefined ? {} : { short }) };
}

/** An option with a value, text unless `parse` makes something else of it. */
export function value(placeholder: string, summary: string): ValueSpec<string>;
export function value<T>(
  placeholder: string,
  summary: string,
  parse: (text: string) => T,
): ValueSpec<T>;
export function value<T>(
  placeholder: string,
  summary: string,
  parse?: (text: string) => T,
): ValueSpec<T | string> {
  return { kind: "value", summary, placeholder, parse: parse ?? ((text) => text) };
}

/** A whole number between two bounds, for use as an option's `parse`. */
export function wholeNumber(what: string, lowest: number, highest: number) {
  return (text: string): number => {
    const given = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (given >= lowest && given <= highest) return given;
    throw new BangerError(
      "invalid",
      `Cannot use ${what} ${
        JSON.stringify(text)
      }: it is not a whole number from ${lowest} to ${highest}`,
    );
  };
}

/** The long name of an option's key: `noWorkspace` is `--no-workspace`. */
export function longName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
