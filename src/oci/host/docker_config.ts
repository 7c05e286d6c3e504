import * as v from "valibot";
import { defaultDomain } from "../../model/image_reference.ts";
import type { RegistryCredentials } from "../../model/registry_credentials.ts";
import { isDeeperThan } from "../../transport/json_depth.ts";

/** What of the user's Docker config is about credentials. */
export interface DockerConfig {
  readonly auths: ReadonlyMap<string, AuthEntry>;
  /** Name of the helper for some registries. */
  readonly credHelpers: ReadonlyMap<string, string>;
  /** Name of the helper for all others. */
  readonly credsStore: string | null;
}

type AuthEntry = v.InferOutput<typeof authSchema>;

const text = v.nullish(v.pipe(v.string(), v.maxLength(64 * 1024)));
const authSchema = v.object({
  auth: text,
  username: text,
  password: text,
  identitytoken: text,
  registrytoken: text,
});
const key = v.pipe(v.string(), v.maxLength(1024));
const schema = v.object({
  auths: v.nullish(v.record(key, v.nullish(authSchema))),
  credHelpers: v.nullish(v.record(key, v.string())),
  credsStore: v.nullish(v.string()),
});
const maxDepth = 32;

/** Reads a Docker config; `undefined` when it is none. Nothing of it is ever quoted. */
export function parseDockerConfig(bytes: Uint8Array): DockerConfig | undefined {
  if (isDeeperThan(maxDepth, bytes)) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const { auths, credHelpers, credsStore } = v.parse(schema, value);
    return {
      auths: new Map(
        Object.entries(auths ?? {}).flatMap(([name, entry]) =>
          entry === null || entry === undefined ? [] : [[name, entry] as const]
        ),
      ),
      credHelpers: new Map(Object.entries(credHelpers ?? {})),
      credsStore: credsStore === "" ? null : credsStore ?? null,
    };
  } catch {
    return undefined;
  }
}

/** The name under which Docker keeps the credentials of a reference's domain. */
export function serverName(domain: string): string {
  return domain === defaultDomain ? `https://index.${defaultDomain}/v1/` : domain;
}

/**
 * The entry for a domain: under its name, or under a URL of that host, as old versions of Docker
 * wrote them.
 */
export function authFor(config: DockerConfig, domain: string): AuthEntry | undefined {
  const exact = config.auths.get(domain);
  if (exact !== undefined) return exact;
  const hosts = domain === defaultDomain ? [`index.${defaultDomain}`, domain] : [domain];
  for (const [name, entry] of config.auths) {
    if (hosts.includes(name.replace(/^https?:\/\//, "").replace(/\/.*$/s, ""))) return entry;
  }
  return undefined;
}

/** What an entry gives; `undefined` for an empty one (Docker leaves those when a helper is used). */
export function credentialsOf(entry: AuthEntry, domain: string): RegistryCredentials | undefined {
  const { identitytoken, registrytoken } = entry;
  if (identitytoken) return { domain, kind: "identity_token", token: identitytoken };
  if (registrytoken) return { domain, kind: "registry_token", token: registrytoken };
  const pair = pairIn(entry.auth ?? "") ?? [entry.username ?? "", entry.password ?? ""];
  const [username, password] = pair;
  return username === "" ? undefined : { domain, kind: "password", username, password };
}

function pairIn(auth: string): readonly [string, string] | undefined {
  if (auth === "") return undefined;
  try {
    const decoded = new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(auth));
    const colon = decoded.indexOf(":");
    // Docker cuts NULs off the end, which old versions wrote there.
    return colon < 1
      ? undefined
      : [decoded.slice(0, colon), decoded.slice(colon + 1).replace(/\0+$/, "")];
  } catch {
    return undefined;
  }
}
