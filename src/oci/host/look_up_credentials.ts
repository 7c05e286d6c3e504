import { BangerError, isBangerError } from "../../model/errors.ts";
import type { RegistryCredentials } from "../../model/registry_credentials.ts";
import { askCredentialHelper, type HelperOptions } from "./credential_helper.ts";
import {
  authFor,
  credentialsOf,
  type DockerConfig,
  parseDockerConfig,
  serverName,
} from "./docker_config.ts";

/** What was found for a registry. */
export interface CredentialLookup {
  /** `null` asks the registry without any. */
  readonly credentials: RegistryCredentials | null;
  /** Why they could not be looked up; a public image can be had all the same. */
  readonly problem: BangerError | null;
}

const maxConfigBytes = 1024 ** 2;
const nothing: CredentialLookup = { credentials: null, problem: null };

/**
 * Looks up what the user's Docker config (`$DOCKER_CONFIG/config.json`, else
 * `~/.docker/config.json`) has for the domain of an image reference: the helper for this registry,
 * else the helper for all, else what is in the file. Runs in the CLI, with the user's rights; the
 * daemon can neither read a home directory nor run a program of the user's.
 *
 * @throws only the signal's reason
 */
export async function lookUpCredentials(
  domain: string,
  options: HelperOptions,
): Promise<CredentialLookup> {
  try {
    const config = await readConfig(configPath(options.env));
    if (config === undefined) return nothing;
    return { credentials: await credentialsFor(config, domain, options) ?? null, problem: null };
  } catch (error) {
    options.signal.throwIfAborted();
    if (!isBangerError(error)) throw error;
    return { credentials: null, problem: error };
  }
}

async function credentialsFor(
  config: DockerConfig,
  domain: string,
  options: HelperOptions,
): Promise<RegistryCredentials | undefined> {
  const server = serverName(domain);
  const helper = config.credHelpers.get(server) ?? config.credHelpers.get(domain) ??
    config.credsStore;
  if (helper !== null && helper !== "") {
    const found = await askCredentialHelper(helper, { domain, server }, options);
    if (found !== undefined) return found;
  }
  const entry = authFor(config, domain);
  return entry === undefined ? undefined : credentialsOf(entry, domain);
}

function configPath(env: Readonly<Record<string, string>>): string | undefined {
  const dir = env["DOCKER_CONFIG"];
  if (dir !== undefined && dir !== "") return `${dir}/config.json`;
  const home = env["HOME"];
  return home === undefined || home === "" ? undefined : `${home}/.docker/config.json`;
}

async function readConfig(path: string | undefined): Promise<DockerConfig | undefined> {
  if (path === undefined) return undefined;
  const unusable = (why: string) =>
    new BangerError("precondition", `Cannot use Docker config "${path}": ${why}`, {
      hint: "Correct it, or set DOCKER_CONFIG to another directory",
      code: "DOCKER_CONFIG",
    });
  let bytes: Uint8Array;
  try {
    const info = await Deno.stat(path);
    if (!info.isFile) throw unusable("it is no regular file");
    if (info.size > maxConfigBytes) throw unusable(`it has over ${maxConfigBytes} bytes`);
    bytes = await Deno.readFile(path);
  } catch (error) {
    if (isBangerError(error)) throw error;
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return undefined;
    }
    throw unusable("it cannot be read");
  }
  const config = parseDockerConfig(bytes);
  if (config === undefined) throw unusable("it is damaged");
  return config;
}
