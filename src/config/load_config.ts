import { parse, TomlError } from "smol-toml";
import { BangerError, reasonOf } from "../model/errors.ts";
import { closestWord } from "./closest_word.ts";
import { type Config, defaultConfig } from "./config.ts";
import { configKeys, type Draft } from "./config_keys.ts";
import { locateKey, type TextPlace } from "./locate_key.ts";

/** Largest configuration file, in bytes. */
const maxBytes = 1024 * 1024;

/**
 * Reads and checks the configuration; a file that does not exist is an empty one.
 *
 * @throws BangerError `invalid` as `FILE:LINE:COLUMN`, `precondition` when it cannot be read
 */
export function loadConfig(file: string, hostCpus: number): Config {
  let text: string;
  try {
    const bytes = Deno.readFileSync(file);
    if (bytes.length > maxBytes) throw new Error(`it is larger than ${maxBytes} bytes`);
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return parseConfig("", file, hostCpus);
    throw new BangerError(
      "precondition",
      `Cannot read configuration "${file}": ${reasonOf(cause)}`,
      { cause },
    );
  }
  return parseConfig(text, file, hostCpus);
}

/** {@linkcode loadConfig} for a text; `file` is only named in errors. */
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
  Object.freeze(draft.vmDefaults);
  Object.freeze(draft.catalog);
  return Object.freeze(draft);
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
