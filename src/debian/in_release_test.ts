import assert from "node:assert/strict";
import fc from "fast-check";
import { createCleartextMessage, generateKey, sign } from "openpgp";
import { BangerError } from "../model/errors.ts";
import { parseRelease, verifyInRelease } from "./in_release.ts";

const day = 24 * 60 * 60 * 1000;
const madeAt = new Date("2026-01-01T00:00:00Z");
const release = `Suite: oldstable
Codename: bookworm
Date: Thu, 01 Jan 2026 00:00:00 UTC
Acquire-By-Hash: yes
SHA256:
 ${"ab".repeat(32)} 12 main/binary-amd64/Packages.xz
`;

async function keyPair(validSeconds = 0) {
  const { privateKey, publicKey } = await generateKey({
    userIDs: [{ name: "archive" }],
    format: "object",
    date: madeAt,
    keyExpirationTime: validSeconds,
  });
  return { privateKey, keyring: publicKey.write(), armoured: publicKey.armor() };
}

type Pair = Awaited<ReturnType<typeof keyPair>>;

async function signed(text: string, ...pairs: Pair[]): Promise<string> {
  const message = await createCleartextMessage({ text });
  const signingKeys = pairs.map((pair) => pair.privateKey);
  return await sign({ message, signingKeys, date: madeAt });
}

function refusal(message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof BangerError, String(error));
    assert.equal(error.kind, "untrusted");
    assert.match(error.message, message);
    return true;
  };
}

Deno.test("a good signature by one key of the keyring is enough", async () => {
  const [known, stranger] = [await keyPair(), await keyPair()];
  const nowMs = madeAt.getTime() + day;
  const text = await signed(release, stranger, known);
  for (const keyring of [known.keyring, new TextEncoder().encode(known.armoured)]) {
    const read = await verifyInRelease(text, { suite: "bookworm", keyring, nowMs });
    assert.equal(read.acquireByHash, true);
    assert.equal(read.dateMs, madeAt.getTime());
    assert.deepEqual(read.files.get("main/binary-amd64/Packages.xz"), {
      sha256: "ab".repeat(32),
      bytes: 12,
    });
  }
  await verifyInRelease(text, { suite: "oldstable", keyring: known.keyring, nowMs });
});

Deno.test("a key that has expired, or a signature from the future, is refused", async () => {
  const pair = await keyPair(2 * day / 1000);
  const text = await signed(release, pair);
  const check = (nowMs: number) =>
    verifyInRelease(text, { suite: "bookworm", keyring: pair.keyring, nowMs });
  await check(madeAt.getTime() + day);
  await assert.rejects(() => check(madeAt.getTime() + 3 * day), refusal(/no valid signature/));
  await assert.rejects(() => check(madeAt.getTime() - day), refusal(/no valid signature/));
});

Deno.test("text around the signed block, and a second block, are refused", async () => {
  const pair = await keyPair();
  const text = await signed(release, pair);
  const options = { suite: "bookworm", keyring: pair.keyring, nowMs: madeAt.getTime() + day };
  for (const changed of [`Suite: x\n${text}`, `${text}\nSHA256:\n`, "", "-----BEGIN"]) {
    await assert.rejects(() => verifyInRelease(changed, options), refusal(/it is not signed/));
  }
  await assert.rejects(
    () => verifyInRelease(`${text}\n${text}`, options),
    refusal(/more than one signed block/),
  );
});

Deno.test("Valid-Until is kept, to the end and not further", async () => {
  const pair = await keyPair();
  const until = "Valid-Until: Sat, 03 Jan 2026 00:00:00 UTC\n";
  const text = await signed(until + release, pair);
  const check = (nowMs: number) =>
    verifyInRelease(text, { suite: "bookworm", keyring: pair.keyring, nowMs });
  await check(Date.parse("2026-01-03T00:00:00Z"));
  const after = Date.parse("2026-01-03T00:00:01Z");
  await assert.rejects(() => check(after), refusal(/valid until 2026-01-03 00:00/));
});

Deno.test("damaged fields are refused, garbage never crashes", () => {
  assert.throws(() => parseRelease("Suite: a\nSuite: b\n"), refusal(/two fields "Suite"/));
  assert.throws(() => parseRelease("SHA256:\n zz 1 x\n"), refusal(/list of files is damaged/));
  assert.throws(() => parseRelease("Valid-Until: soon\n"), refusal(/damaged time/));
  fc.assert(fc.property(fc.string(), fc.nat(release.length), (noise, at) => {
    try {
      parseRelease(release.slice(0, at) + noise + release.slice(at));
    } catch (error) {
      assert.ok(error instanceof BangerError, String(error));
    }
  }));
});
