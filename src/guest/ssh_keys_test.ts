import assert from "node:assert/strict";
import { ensureSshKey, knownHostsLine } from "./ssh_keys.ts";

Deno.test("five callers at once get the same key, which is private", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const { signal } = new AbortController();
    const path = `${directory}/id`;
    const keys = await Promise.all(
      Array.from({ length: 5 }, () => ensureSshKey(path, "banger", signal)),
    );
    assert.equal(new Set(keys.map((key) => key.privateKey)).size, 1);
    assert.equal(new Set(keys.map((key) => key.publicKey)).size, 1);
    assert.match(keys[0]!.publicKey, /^ssh-ed25519 [A-Za-z0-9+/=]+ banger$/);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    assert.deepEqual(
      (await Array.fromAsync(Deno.readDir(directory))).map((entry) => entry.name).sort(),
      ["id", "id.pub"],
    );
    assert.deepEqual(await ensureSshKey(path, "banger", signal), keys[0]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a known_hosts line names the VM and only the key", () => {
  assert.equal(knownHostsLine("abc", "ssh-ed25519 AAAA comment here"), "abc ssh-ed25519 AAAA\n");
});
