import * as v from "valibot";
import { BangerError, isBangerError } from "../../model/errors.ts";
import type { RegistryCredentials } from "../../model/registry_credentials.ts";
import { type Answer, askProgram } from "../../process/ask_program.ts";
import { findProgram } from "../../process/find_program.ts";

/** How a helper is run. */
export interface HelperOptions {
  /** The user's own environment: helpers look for key rings, agents and homes in it. */
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Helpers may ask the user for a passphrase; a minute when left out. */
  readonly timeoutMs?: number;
}

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const defaultTimeoutMs = 60_000;
const maxAnswerBytes = 64 * 1024;
const secret = v.pipe(v.string(), v.maxLength(maxAnswerBytes));
const answerSchema = v.object({ Username: secret, Secret: secret });
/** A user name that says that the secret is an identity token. */
const tokenUser = "<token>";
/** What helpers print, with exit code 1, when they know nothing of a server. */
const notFound =
  /credentials not found|no credentials|no usernames for|not found in native keychain/i;

/**
 * Asks the credential helper `docker-credential-NAME` for what it has for `server`, by the protocol
 * of docker-credential-helpers. It is looked for in the user's PATH.
 *
 * @returns `undefined` when it has nothing
 * @throws BangerError `precondition`, with nothing of what the helper said; the signal's reason
 */
export async function askCredentialHelper(
  name: string,
  { domain, server }: { readonly domain: string; readonly server: string },
  options: HelperOptions,
): Promise<RegistryCredentials | undefined> {
  if (!namePattern.test(name)) {
    throw refusal("with a helper", "its name in the Docker config is no program's name");
  }
  const program = `docker-credential-${name}`;
  const dirs = (options.env["PATH"] ?? "").split(":").filter((dir) => dir.startsWith("/"));
  const path = await findProgram(program, dirs);
  if (path === undefined) throw refusal(`with "${program}"`, "it is not in your PATH");
  const answer = await ask(path, program, server, options);
  if (answer.kind !== "answered") {
    const why = answer.kind === "timeout" ? "it takes too long" : "it says too much";
    throw refusal(`with "${program}"`, why);
  }
  const said = new TextDecoder().decode(answer.stdout);
  if (answer.code !== 0) {
    if (notFound.test(said)) return undefined;
    throw refusal(`with "${program}"`, `it ended with exit code ${answer.code}`);
  }
  return credentialsIn(said, program, domain);
}

async function ask(
  path: string,
  program: string,
  server: string,
  { env, signal, timeoutMs = defaultTimeoutMs }: HelperOptions,
): Promise<Answer> {
  try {
    return await askProgram(path, ["get"], {
      ...{ env, signal, timeoutMs, maxStdoutBytes: maxAnswerBytes },
      stdin: new TextEncoder().encode(server),
    });
  } catch (error) {
    if (signal.aborted || isBangerError(error, "precondition")) throw error;
    throw refusal(`with "${program}"`, "it cannot be run");
  }
}

function credentialsIn(
  said: string,
  program: string,
  domain: string,
): RegistryCredentials | undefined {
  let value: unknown;
  try {
    value = JSON.parse(said);
  } catch {
    // Told below: nothing of what it said may be in an error.
  }
  const parsed = v.safeParse(answerSchema, value);
  if (!parsed.success) throw refusal(`with "${program}"`, "it answers in an unknown form");
  const { Username: username, Secret: password } = parsed.output;
  if (username === tokenUser) return { domain, kind: "identity_token", token: password };
  return username === "" ? undefined : { domain, kind: "password", username, password };
}

function refusal(how: string, why: string): BangerError {
  return new BangerError("precondition", `Cannot look up credentials ${how}: ${why}`, {
    hint: "Check credsStore and credHelpers in the config.json of Docker",
    code: "CREDENTIAL_HELPER",
  });
}
