import { BangerError, reasonOf } from "../model/errors.ts";
import type { ExpectedContent } from "./download.ts";

/** The signed list of a suite's index files. */
export interface Release {
  readonly suite: string;
  readonly codename: string;
  /** When the archive was signed, as it says. */
  readonly dateMs: number | null;
  /** Whether indexes can be fetched by their hash, which never changes under a reader. */
  readonly acquireByHash: boolean;
  /** Index files by path below `dists/SUITE/`. */
  readonly files: ReadonlyMap<string, ExpectedContent>;
}

/** What an `InRelease` is checked against. */
export interface InReleaseOptions {
  /** The release that was asked for: its suite or its code name must be this. */
  readonly suite: string;
  /** Bytes of an OpenPGP keyring file (binary or armoured). */
  readonly keyring: Uint8Array;
  /** The time of the check. */
  readonly nowMs: number;
}

const beginSigned = "-----BEGIN PGP SIGNED MESSAGE-----";
const endSignature = "-----END PGP SIGNATURE-----";
const maxFiles = 20_000;

/**
 * Checks an `InRelease` file: signed in the clear (RFC 9580, 7) by at least one key of the keyring
 * that is valid now, not past its Valid-Until, and of the suite that was asked for. Only the signed
 * text is read.
 *
 * @throws BangerError `untrusted` naming the rule that it breaks
 */
export async function verifyInRelease(
  text: string,
  options: InReleaseOptions,
): Promise<Release> {
  const signed = await signedText(text, options);
  const release = parseRelease(signed);
  if (release.suite !== options.suite && release.codename !== options.suite) {
    throw refuse(`it is of "${release.codename}", not of "${options.suite}"`);
  }
  const until = release.validUntilMs;
  if (until !== null && !(until >= options.nowMs)) {
    throw refuse(
      `it was valid until ${showTime(until)}`,
      "The mirror is out of date: use another one",
    );
  }
  return release;
}

async function signedText(text: string, options: InReleaseOptions): Promise<string> {
  // Nothing may stand outside the one signed block, so that no reader can take it for signed.
  const whole = text.startsWith(`${beginSigned}\n`) && text.trimEnd().endsWith(endSignature);
  if (!whole) throw refuse("it is not signed");
  const blocks = text.split("\n").filter((line) => line.startsWith(beginSigned)).length;
  if (blocks !== 1) throw refuse("it has more than one signed block");
  const { readCleartextMessage, readKeys, verify } = await import("openpgp");
  const now = new Date(options.nowMs);
  let keys: Awaited<ReturnType<typeof readKeys>>;
  try {
    keys = isArmoured(options.keyring)
      ? await readKeys({ armoredKeys: new TextDecoder().decode(options.keyring) })
      : await readKeys({ binaryKeys: options.keyring });
  } catch (cause) {
    throw new BangerError("precondition", "Cannot read the Debian keyring: it is damaged", {
      hint: "apt-get install --reinstall debian-archive-keyring",
      cause,
    });
  }
  const reasons: string[] = [];
  try {
    const message = await readCleartextMessage({ cleartextMessage: text });
    const result = await verify({ message, verificationKeys: keys, date: now });
    for (const signature of result.signatures) {
      try {
        await signature.verified;
        const key = keys.find((each) => each.getKeys(signature.keyID).length > 0);
        if (key === undefined) throw new TypeError("unknown key");
        await key.getSigningKey(signature.keyID, now);
        return result.data;
      } catch (error) {
        reasons.push(`${signature.keyID.toHex()}: ${reasonOf(error)}`);
      }
    }
  } catch (error) {
    reasons.push(reasonOf(error));
  }
  throw refuse("it has no valid signature of a key in the Debian keyring", undefined, reasons);
}

function isArmoured(keyring: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(keyring.subarray(0, 5)) === "-----";
}

/** Reads the fields of a Release file (https://wiki.debian.org/DebianRepository/Format). */
export function parseRelease(text: string): Release & { readonly validUntilMs: number | null } {
  const fields = new Map<string, string>();
  const files = new Map<string, ExpectedContent>();
  let section = "";
  for (const line of text.split("\n")) {
    const field = /^([A-Za-z0-9-]+):[ \t]*(.*?)\s*$/.exec(line);
    if (field?.[1] !== undefined) {
      section = field[1].toLowerCase();
      if (fields.has(section)) throw refuse(`it has two fields "${field[1]}"`);
      fields.set(section, field[2] ?? "");
    } else if (section === "sha256") {
      addFile(files, line);
    }
  }
  const validUntil = fields.get("valid-until");
  const date = fields.get("date");
  return {
    suite: fields.get("suite") ?? "",
    codename: fields.get("codename") ?? "",
    dateMs: date === undefined ? null : timeOf(date),
    validUntilMs: validUntil === undefined ? null : timeOf(validUntil),
    acquireByHash: fields.get("acquire-by-hash") === "yes",
    files,
  };
}

function addFile(files: Map<string, ExpectedContent>, line: string): void {
  const match = /^[ \t]+([0-9a-f]{64})[ \t]+([0-9]{1,12})[ \t]+(\S+)\s*$/.exec(line);
  if (match?.[1] === undefined || match[3] === undefined) {
    if (line.trim() !== "") throw refuse("its list of files is damaged");
    return;
  }
  if (files.size >= maxFiles) throw refuse(`it lists more than ${maxFiles} files`);
  files.set(match[3], { sha256: match[1], bytes: Number(match[2]) });
}

/** A time as archives write it (RFC 5322, always UTC). */
function timeOf(text: string): number {
  const time = Date.parse(text.replace(/ UTC$/, " GMT"));
  if (Number.isNaN(time)) throw refuse("it has a damaged time");
  return time;
}

function showTime(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 16).replace("T", " ");
}

function refuse(why: string, hint?: string, details: readonly string[] = []): BangerError {
  return new BangerError("untrusted", `Cannot trust "InRelease": ${why}`, {
    code: "RELEASE_UNTRUSTED",
    hint: hint ?? "Check [catalog] debian_mirror and the package debian-archive-keyring",
    ...(details.length === 0 ? {} : { detail: details.join("\n") }),
  });
}
