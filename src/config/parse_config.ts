import { parse, TomlError } from "smol-toml";
import { BangerError } from "../model/errors.ts";
import { closestWord } from "./closest_word.ts";
import { type Config, defaultConfig, frozenConfig } from "./config.ts";
import { configKeys, type Draft } from "./config_keys.ts";
import { locateKey, type TextPlace } from "./locate_key.ts";

/**
 * Checks the text of a configuration; `file` is only named in errors.
 *
 * @throws BangerError `invalid` as `FILE:LINE:COLUMN`
 */
export function parseConfig(text: string, file: string, hostCpus: number): Config {
  const draft: Draft = { ...defaultConfig(hostCpus) };
  for (const [key, value] of entriesOf(parseToml(text, file))) {
    const read = Object.hasOwn(configKeys, key) ? configKeys[key] : undefined;
    const place = () => locateKey(text, key);
    if (read === undefined) throw unknownKey(file, place(), key);
    const problem = read(value, draft);
    if (problem !== undefined) {
      throw refusal(file, place(), `"${key}" cannot be ${shown(value)}: ${problem}`);
    }
  }
  return frozenConfig(draft);
}

function parseToml(text: string, file: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const reason = cause.message.split("\n")[0]?.replace(/^Invalid TOML document: /, "") ?? "";
    const place = { line: cause.line, column: cause.column };
    throw refusal(file, place, `it is not TOML: ${reason}`, undefined, cause.codeblock);
  }
}

/** Keys with their values; those of known tables as `table.key`. */
function* entriesOf(document: Record<string, unknown>): Generator<[string, unknown]> {
  const tables = new Set(Object.keys(configKeys).flatMap((key) => key.split(".").slice(0, -1)));
  for (const [key, value] of Object.entries(document)) {
    const isTable = typeof value === "object" && value !== null && !Array.isArray(value) &&
      !(value instanceof Date);
    if (isTable && tables.has(key)) {
      for (const [inner, innerValue] of Object.entries(value)) {
        yield [`${key}.${inner}`, innerValue];
      }
    } else yield [key, value];
  }
}

function unknownKey(file: string, place: TextPlace, key: string): BangerError {
  const known = Object.keys(configKeys);
  const meant = closestWord(key, known) ??
    known.find((other) => other.split(".").at(-1) === key.split(".").at(-1));
  const hint = meant === undefined
    ? "banger config show lists all keys"
    : `Did you mean ${JSON.stringify(meant)}?`;
  return refusal(file, place, `there is no key "${key}"`, hint);
}

function refusal(
  file: string,
  place: TextPlace,
  what: string,
  hint = `Edit ${file}`,
  detail?: string,
): BangerError {
  return new BangerError(
    "invalid",
    `Cannot use configuration "${file}:${place.line}:${place.column}": ${what}`,
    { hint, ...(detail === undefined ? {} : { detail }) },
  );
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`;
}
