import assert from "node:assert/strict";
import { createCleartextMessage, createMessage, generateKey, type PrivateKey, sign } from "openpgp";
import { joined } from "../../tests/support/bundle_fixture.ts";
import { isBangerError } from "../model/errors.ts";
import type { CatalogTrust } from "./catalog.ts";
import { openSignature, unverifiedCode } from "./detached_signature.ts";

const data = new Uint8Array(300_000).map((_, index) => index % 253);
const signedAt = new Date("2026-01-01T00:00:00Z");
const nowMs = Date.parse("2026-02-01T00:00:00Z");

interface TestKey {
  readonly privateKey: PrivateKey;
  readonly armoured: string;
  readonly binary: Uint8Array;
  readonly fingerprint: string;
}

async function makeKey(name: string, keyExpirationTime = 0): Promise<TestKey> {
  const { privateKey, publicKey } = await generateKey({
    userIDs: [{ name }],
    format: "object",
    date: signedAt,
    keyExpirationTime,
    // Signs by a subkey: what is pinned is the primary key.
    subkeys: [{ sign: true }],
  });
  const fingerprint = publicKey.getFingerprint().toUpperCase();
  return { privateKey, armoured: publicKey.armor(), binary: publicKey.write(), fingerprint };
}

const ours = await makeKey("ours");
const other = await makeKey("other");
const shortLived = await makeKey("short-lived", 3600);

/** These keys are pinned; the keyring also has one that is not. */
function trust(...keys: readonly TestKey[]): CatalogTrust {
  return {
    fingerprints: keys.map(({ fingerprint }) => fingerprint),
    keyring: joined([...keys, other].map(({ binary }) => binary)),
  };
}

async function signatureBy(...keys: readonly TestKey[]): Promise<string> {
  return await sign({
    message: await createMessage({ binary: data }),
    signingKeys: keys.map(({ privateKey }) => privateKey),
    detached: true,
    date: signedAt,
  }) as string;
}

interface Check {
  readonly signature: string | Uint8Array;
  readonly data?: Uint8Array;
  readonly trust?: CatalogTrust;
  readonly signer?: string;
  readonly nowMs?: number;
}

async function check(options: Check): Promise<string> {
  const { signature } = options;
  const opened = await openSignature({
    what: 'bundle "tiny"',
    signature: typeof signature === "string" ? new TextEncoder().encode(signature) : signature,
    trust: options.trust ?? trust(ours),
    nowMs: options.nowMs ?? nowMs,
    ...(options.signer === undefined ? {} : { signer: options.signer }),
  });
  const bytes = options.data ?? data;
  const chunks = [bytes.slice(0, 1000), bytes.slice(1000)];
  await opened.verify(ReadableStream.from(chunks));
  return opened.fingerprint;
}

async function refused(options: Check, words: RegExp): Promise<void> {
  await assert.rejects(check(options), (error) => {
    assert.ok(isBangerError(error, "untrusted"), `${words}: ${error}`);
    assert.equal(error.code, unverifiedCode);
    assert.match(error.message, words);
    return true;
  });
}

Deno.test("one good signature by a pinned key is accepted, armoured or binary", async () => {
  const signature = await signatureBy(ours);
  const armoured = new TextEncoder().encode(ours.armoured);
  const armouredTrust = { fingerprints: [ours.fingerprint], keyring: armoured };
  assert.equal(await check({ signature, trust: armouredTrust }), ours.fingerprint);
  assert.equal(await check({ signature }), ours.fingerprint);
  assert.equal(await check({ signature, signer: ours.fingerprint }), ours.fingerprint);
  const binary = await sign({
    message: await createMessage({ binary: data }),
    signingKeys: ours.privateKey,
    detached: true,
    format: "binary",
    date: signedAt,
  });
  assert.equal(await check({ signature: binary as Uint8Array }), ours.fingerprint);
});

Deno.test("none, two, and signatures of others are refused", async () => {
  const good = await signatureBy(ours);
  await refused({ signature: "" }, /it is not signed/);
  await refused({ signature: await signatureBy(ours, other) }, /2 signatures, exactly one/);
  await refused({ signature: await signatureBy(ours, ours) }, /2 signatures|exactly one/);
  await refused({ signature: `${good}${good}` }, /more than one armoured block/);
  await refused({ signature: `${good}and more` }, /something stands behind it/);
  await refused({ signature: await signatureBy(other) }, /which is not pinned/);
  await refused({ signature: good, signer: other.fingerprint }, /the catalog promises/);
});

Deno.test("a changed byte is refused, in the data and in the signature", async () => {
  const signature = await signatureBy(ours);
  const changed = data.slice();
  changed[data.length - 1]! ^= 1;
  await refused({ signature, data: changed }, /its signature is not valid/);
  await refused({ signature, data: data.slice(0, -1) }, /its signature is not valid/);
  const binary = await sign({
    message: await createMessage({ binary: data }),
    signingKeys: ours.privateKey,
    detached: true,
    format: "binary",
    date: signedAt,
  }) as Uint8Array;
  for (let at = 0; at < binary.length; at++) {
    const bad = binary.slice();
    bad[at]! ^= 0x41;
    // Unhashed parts may change without effect on what was signed; nothing else may.
    await check({ signature: bad }).then(
      (fingerprint) => assert.equal(fingerprint, ours.fingerprint),
      (error) => assert.ok(isBangerError(error, "untrusted"), `byte ${at}: ${error}`),
    );
  }
});

Deno.test("signatures that are not detached ones over a file are refused", async () => {
  const message = await createMessage({ binary: data });
  const inline = await sign({ message, signingKeys: ours.privateKey, date: signedAt });
  const text = await createCleartextMessage({ text: "hello" });
  const clear = await sign({ message: text, signingKeys: ours.privateKey, date: signedAt });
  const asText = await sign({
    message: await createMessage({ text: "hello" }),
    signingKeys: ours.privateKey,
    detached: true,
    date: signedAt,
  }) as string;
  await refused({ signature: inline as string }, /too large/);
  const small = await createMessage({ binary: data.slice(0, 100) });
  const short = await sign({ message: small, signingKeys: ours.privateKey, date: signedAt });
  await refused({ signature: short as string, data: data.slice(0, 100) }, /cannot be read/);
  await refused({ signature: clear as string }, /cannot be read/);
  await refused({ signature: asText, data: new TextEncoder().encode("hello") }, /over a file/);
  await refused({ signature: ours.armoured }, /cannot be read/);
  await refused({ signature: "hello" }, /cannot be read/);
  await refused({ signature: new Uint8Array(65_537) }, /too large/);
});

Deno.test("keys that have expired, and times that cannot be, are refused", async () => {
  const signature = await signatureBy(shortLived);
  const trusted = trust(shortLived);
  const during = signedAt.getTime() + 60_000;
  assert.equal(await check({ signature, trust: trusted, nowMs: during }), shortLived.fingerprint);
  await refused({ signature, trust: trusted }, /its signature is not valid/);
  const early = { signature: await signatureBy(ours), nowMs: signedAt.getTime() - 86_400_000 };
  await refused(early, /its signature is not valid/);
});

Deno.test("without a pinned key that the keyring has, nothing can be verified", async () => {
  const signature = await signatureBy(ours);
  const { keyring } = trust(ours);
  const bad: readonly CatalogTrust[] = [
    { fingerprints: [], keyring },
    { fingerprints: [ours.fingerprint.slice(-16)], keyring },
    { fingerprints: [shortLived.fingerprint], keyring },
    { fingerprints: [ours.fingerprint], keyring: new Uint8Array(0) },
    { fingerprints: [ours.fingerprint], keyring: new TextEncoder().encode("-----junk") },
  ];
  for (const each of bad) {
    await assert.rejects(check({ signature, trust: each }), (error) => {
      assert.ok(isBangerError(error, "precondition"), String(error));
      assert.equal(error.code, unverifiedCode);
      return true;
    });
  }
});
