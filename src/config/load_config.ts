import { BangerError, reasonOf } from "../model/errors.ts";
import { type Config, defaultConfig, frozenConfig } from "./config.ts";

/** Largest configuration file, in bytes. */
const maxBytes = 1024 * 1024;

/**
 * Reads and checks the configuration; a file that does not exist is an empty one. The parser is
 * loaded only for one that exists: a daemon would keep it in memory.
 *
 * @throws BangerError `invalid` as `FILE:LINE:COLUMN`, `precondition` when it cannot be read
 */
export async function loadConfig(file: string, hostCpus: number): Promise<Config> {
  let text: string;
  try {
    const bytes = await Deno.readFile(file);
    if (bytes.length > maxBytes) throw new Error(`it is larger than ${maxBytes} bytes`);
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return frozenConfig(defaultConfig(hostCpus));
    throw new BangerError(
      "precondition",
      `Cannot read configuration "${file}": ${reasonOf(cause)}`,
      { cause },
    );
  }
  const { parseConfig } = await import("./parse_config.ts");
  return parseConfig(text, file, hostCpus);
}
