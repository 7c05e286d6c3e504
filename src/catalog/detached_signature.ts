import type { Key, Signature } from "openpgp";
import { BangerError, reasonOf } from "../model/errors.ts";
import { type CatalogTrust, isFingerprint } from "./catalog.ts";

/** A file, its signature, and whose signature counts. */
export interface DetachedOptions {
  /** How errors name what was signed, such as `bundle "debian-bookworm"`. */
  readonly what: string;
  /** Binary or armoured. */
  readonly signature: Uint8Array;
  readonly trust: CatalogTrust;
  /** The fingerprint that the catalog promises, if it does. */
  readonly signer?: string;
  /** The time of the check. */
  readonly nowMs: number;
}

/** Code of every refusal of a signature. */
export const unverifiedCode = "BUNDLE_UNVERIFIED";

/** Largest signature file, in bytes. */
export const maxSignatureBytes = 64 * 1024;

/** RFC 9580, 5.2.1: over the bytes as they are. */
const binarySignature = 0;

/** A signature whose key counts; whether it is good is not known yet. */
export interface DetachedSignature {
  /** Fingerprint of the primary key, in upper-case hexadecimal. */
  readonly fingerprint: string;
  /**
   * Checks that it is good over `data`, which is read to its end, and its key valid now.
   *
   * @throws BangerError `untrusted`
   */
  verify(data: ReadableStream<Uint8Array>): Promise<void>;
}

/**
 * Reads a detached OpenPGP signature: there is exactly one, and its key belongs to a primary key
 * whose fingerprint is pinned. What was signed need not be here yet: what can be refused without it
 * is not downloaded.
 *
 * @throws BangerError `untrusted`, `precondition` when no key is pinned or the keyring is damaged
 */
export async function openSignature(options: DetachedOptions): Promise<DetachedSignature> {
  const keys = await pinnedKeys(options);
  const signature = await readOne(options);
  const [packet] = signature.packets;
  const key = keys.find((each) => each.getKeys(packet?.issuerKeyID).length > 0);
  if (key === undefined || packet === undefined) {
    const id = packet?.issuerKeyID.toHex().toUpperCase() ?? "";
    throw refuse(options, `it is signed by key ${id}, which is not pinned`);
  }
  const fingerprint = fingerprintOf(key);
  if (options.signer !== undefined && options.signer !== fingerprint) {
    const promised = `the catalog promises ${options.signer}`;
    throw refuse(options, `it is signed by ${fingerprint}, ${promised}`);
  }
  return { fingerprint, verify: (data) => verifyOver(data, signature, key, options) };
}

async function verifyOver(
  data: ReadableStream<Uint8Array>,
  signature: Signature,
  key: Key,
  options: DetachedOptions,
): Promise<void> {
  const { createMessage, verify } = await import("openpgp");
  const now = new Date(options.nowMs);
  try {
    const message = await createMessage({ binary: data });
    const result = await verify({
      message,
      signature,
      verificationKeys: [key],
      date: now,
      format: "binary",
    });
    // The check proceeds as far as the message is read. Only getReader() works on what it has made
    // of the stream.
    const reader = result.data.getReader();
    while (!(await reader.read()).done);
    const [verification, ...more] = result.signatures;
    if (verification === undefined || more.length > 0) throw new Error("it is not one signature");
    await verification.verified;
    // Valid when it signed was checked; valid now is asked for, too.
    await key.getSigningKey(verification.keyID, now);
  } catch (error) {
    throw refuse(options, `its signature is not valid: ${reasonOf(error)}`, error);
  }
}

/** The keys of the keyring that count. */
async function pinnedKeys({ trust, what }: DetachedOptions): Promise<Key[]> {
  const { fingerprints, keyring } = trust;
  const hint = "Set fingerprints and keyring below [catalog]: banger config path";
  if (fingerprints.length === 0 || !fingerprints.every(isFingerprint)) {
    throw new BangerError("precondition", `Cannot verify ${what}: no signing key is pinned`, {
      hint,
      code: unverifiedCode,
    });
  }
  const { readKeys } = await import("openpgp");
  let keys: Key[];
  try {
    keys = isArmoured(keyring)
      ? await readKeys({ armoredKeys: new TextDecoder().decode(keyring) })
      : await readKeys({ binaryKeys: keyring });
  } catch (cause) {
    throw new BangerError("precondition", `Cannot verify ${what}: the keyring is damaged`, {
      hint: "gpg --export --armor FINGERPRINT writes one",
      code: unverifiedCode,
      cause,
    });
  }
  const pinned = keys.filter((key) => fingerprints.includes(fingerprintOf(key)));
  if (pinned.length > 0) return pinned;
  throw new BangerError(
    "precondition",
    `Cannot verify ${what}: the keyring has none of the pinned keys`,
    { hint, code: unverifiedCode, detail: fingerprints.join("\n") },
  );
}

/** Reads a file that must be one signature over bytes, and nothing else. */
async function readOne(options: DetachedOptions): Promise<Signature> {
  const { readSignature } = await import("openpgp");
  const bytes = options.signature;
  if (bytes.length === 0) throw refuse(options, "it is not signed");
  if (bytes.length > maxSignatureBytes) throw refuse(options, "its signature is too large");
  let signature: Signature;
  try {
    signature = isArmoured(bytes)
      ? await readSignature({ armoredSignature: oneBlock(bytes) })
      : await readSignature({ binarySignature: bytes });
  } catch (cause) {
    throw refuse(options, `its signature cannot be read: ${reasonOf(cause)}`, cause);
  }
  const { length } = signature.packets;
  if (length !== 1) throw refuse(options, `it has ${length} signatures, exactly one is allowed`);
  const [packet] = signature.packets;
  if (packet?.signatureType !== binarySignature) {
    throw refuse(options, "its signature is not one over a file");
  }
  return signature;
}

/** The text of a file that is one armoured block; a second one would go unread. */
function oneBlock(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  if (text.split("-----BEGIN ").length !== 2) throw new Error("it is more than one armoured block");
  if (!/-----END PGP SIGNATURE-----\s*$/.test(text)) throw new Error("something stands behind it");
  return text;
}

function isArmoured(bytes: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(bytes.subarray(0, 5)) === "-----";
}

function fingerprintOf(key: Key): string {
  return key.getFingerprint().toUpperCase();
}

function refuse(options: DetachedOptions, why: string, cause?: unknown): BangerError {
  return new BangerError("untrusted", `Cannot trust ${options.what}: ${why}`, {
    code: unverifiedCode,
    hint: "Pinned keys are in [catalog] fingerprints: banger config show",
    ...(cause === undefined ? {} : { cause }),
  });
}
