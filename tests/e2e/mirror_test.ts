/** A mirror that serves what was not signed: Debian's own files, damaged on their way. */
import assert from "node:assert/strict";
import { createCleartextMessage, generateKey, sign } from "openpgp";
import type { Banger } from "../support/banger.ts";
import { configure, freshTest, namesIn, refused } from "../support/end_to_end.ts";
import { type Flaw, flawedMirror } from "../support/flawed_mirror.ts";

function damaged(content: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const at = content.length >> 1;
  content[at] = (content[at] ?? 0) ^ 1;
  return content;
}

/** The same release, well signed, but by a key that was made just now. */
async function signedByStranger(
  content: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const text = new TextDecoder().decode(content)
    .replace(/^[^]*?\n\n/, "").replace(/\n-----BEGIN PGP SIGNATURE-----[^]*$/, "");
  const { privateKey } = await generateKey({ userIDs: [{ name: "stranger" }], format: "object" });
  const message = await createCleartextMessage({ text });
  return new TextEncoder().encode(await sign({ message, signingKeys: privateKey }));
}

const flaws: readonly (readonly [what: string, flaw: Flaw, words: RegExp])[] = [
  [
    "a release that was changed after signing",
    (path, content) => path.endsWith("/InRelease") ? damaged(content) : content,
    /Error: Cannot (use|verify|trust).*signature/i,
  ],
  [
    "a release that an unknown key has signed",
    (path, content) => path.endsWith("/InRelease") ? signedByStranger(content) : content,
    /Error: Cannot (use|verify|trust).*(sign|key)/i,
  ],
  [
    "an index of another hash",
    (path, content) => path.includes("/by-hash/") ? damaged(content) : content,
    /Error: Cannot use ".*": its SHA-256 is wrong\n[^]* {2}hint: The mirror may be/,
  ],
  [
    "a package of another hash",
    (path, content) => path.endsWith(".deb") ? damaged(content) : content,
    /Error: Cannot use ".*\.deb": its SHA-256 is wrong\n[^]* {2}hint: The mirror may be/,
  ],
  [
    "a package that is cut off",
    (path, content) => path.endsWith(".deb") ? content.slice(0, content.length >> 1) : content,
    /Error: Cannot use ".*\.deb": it has \d+ bytes, \d+ were expected\n {2}hint: The mirror may be/,
  ],
];

async function nothingIsLeft(banger: Banger): Promise<void> {
  assert.equal(await banger.ok(["kernel", "list", "--json"]), '{\n  "kernels": []\n}\n');
  for (const dir of ["state/banger/staging", "state/banger/kernels"]) {
    assert.deepEqual(await namesIn(`${banger.home}/.local/${dir}`), [], dir);
  }
  assert.deepEqual(await namesIn(`${banger.home}/.cache/banger/downloads`), []);
}

for (const [what, flaw, words] of flaws) {
  freshTest(`kernel pull refuses ${what}, and nothing of it is left`, async (banger) => {
    await using mirror = await flawedMirror(flaw);
    await configure(banger, `[catalog]\ndebian_mirror = "${mirror.url}"\n`);
    await refused(banger, ["kernel", "pull", "debian-6.1-cloud"], 1, words);
    await nothingIsLeft(banger);
  });
}
