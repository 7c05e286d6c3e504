import { BangerError } from "../model/errors.ts";

/** Programs that a build starts itself; the script that runs in the namespaces needs more. */
export const imageBuildPrograms = ["unshare", "df"] as const;

/** Flags of unshare(1) for namespaces in which a build, or its removal, is root. */
export function namespaceFlags(uid: number): string[] {
  // An ordinary user becomes root of a user namespace that has its subordinate ids as well.
  const user = uid === 0 ? [] : ["--user", "--map-auto", "--map-root-user"];
  // Whoever kills unshare kills the first process of the pid namespace, and so all in it.
  return [...user, "--mount", "--pid", "--fork", "--kill-child"];
}

/** Arguments of unshare(1) that run `script` in its own namespaces with its three arguments. */
export function buildArgv(
  uid: number,
  script: string,
  mirror: string,
  keyring: string,
  uuid: string,
): string[] {
  return [
    ...namespaceFlags(uid),
    ...[
      "--",
      "/bin/sh",
      "-c",
      script,
      "build",
      checkMirror(mirror),
      checkKeyring(keyring),
      checkUuid(uuid),
    ],
  ];
}

/**
 * The address of a Debian archive, without a slash at its end. It becomes part of an apt source
 * line, where brackets, blanks and quotes have a meaning.
 *
 * @throws BangerError `invalid`
 */
export function checkMirror(mirror: string): string {
  const url = URL.canParse(mirror) ? new URL(mirror) : undefined;
  const plain = /^https?:\/\/[A-Za-z0-9._~:@%\/+=,[\]-]+$/.test(mirror) &&
    !/\[[^\]]*[^0-9a-fA-F:\]]/.test(mirror);
  if (url !== undefined && plain && url.hostname !== "") return mirror.replace(/\/+$/, "");
  throw new BangerError(
    "invalid",
    `Cannot use Debian mirror ${JSON.stringify(mirror)}: ${
      url === undefined ? "it is not a URL" : "it must be a plain http or https address"
    }`,
    { hint: "Set debian_mirror below [catalog]: banger config edit" },
  );
}

function checkKeyring(path: string): string {
  if (/^\/[A-Za-z0-9._\/-]+$/.test(path)) return path;
  throw new BangerError("invalid", `Cannot use keyring ${JSON.stringify(path)}: not a plain path`);
}

function checkUuid(uuid: string): string {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) return uuid;
  throw new BangerError("internal", `Cannot use UUID ${JSON.stringify(uuid)}`);
}
