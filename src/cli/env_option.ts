import { BangerError } from "../model/errors.ts";
import type { ListSpec } from "./command.ts";

/** One `--env` as given: a value, or a name whose value is taken from banger's own environment. */
export interface EnvGiven {
  readonly name: string;
  readonly value: string | null;
}

/** `--env KEY=VALUE` or `-e KEY`. */
export const envOption: ListSpec<EnvGiven> = {
  kind: "list",
  short: "e",
  placeholder: "KEY[=VALUE]",
  summary: "Set a variable of the command; without a value, pass on banger's own",
  parse: (text) => {
    const equals = text.indexOf("=");
    const name = equals < 0 ? text : text.slice(0, equals);
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      return { name, value: equals < 0 ? null : text.slice(equals + 1) };
    }
    throw new BangerError(
      "invalid",
      `Cannot use --env ${JSON.stringify(text)}: it is no variable name`,
      {
        hint: "Use --env KEY=VALUE, or --env KEY to pass on banger's own",
      },
    );
  },
};

/** The variables that `--env` options name; one that is not set here is left out. */
export function envOf(
  given: readonly EnvGiven[],
  own: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const { name, value } of given) {
    const text = value ?? own[name];
    if (text !== undefined) env[name] = text;
  }
  return env;
}
