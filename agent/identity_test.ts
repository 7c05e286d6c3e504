import assert from "node:assert/strict";
import { identitySeedDir, identityStampFile } from "../src/wire/messages.ts";
import { writeText } from "./files.ts";
import { cameInInitrd } from "./identity.ts";

const stamp = "0123456789abcdef".repeat(2);

async function inRoot(body: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  // The agent's sleep does not keep a process alive; there its link does.
  const alive = setInterval(() => {}, 1000);
  try {
    await body(root);
  } finally {
    clearInterval(alive);
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("an identity that came in the initrd is waited for, another one is not", () =>
  inRoot(async (root) => {
    assert.equal(await cameInInitrd(root, stamp), false);
    writeText(`${root}${identitySeedDir}/stamp`, `${stamp}\n`);
    assert.equal(await cameInInitrd(root, "f".repeat(32)), false);
    const timer = setTimeout(() => writeText(`${root}${identityStampFile}`, `${stamp}\n`), 20);
    assert.equal(await cameInInitrd(root, stamp), true);
    clearTimeout(timer);
  }));
