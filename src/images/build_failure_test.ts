import assert from "node:assert/strict";
import { buildFailure } from "./build_failure.ts";
import { debianBookworm } from "./debian_bookworm.ts";
import { namespaceProblem } from "./user_namespace.ts";

Deno.test("what the programs print decides the kind", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["E: ... NO_PUBKEY 0E98404D386FA1D9\nE: The repository is not signed.", "untrusted"],
    ["E: Failed to fetch http://mirror.test/x.deb  Hash Sum mismatch", "untrusted"],
    [
      "E: Failed to fetch x  File has unexpected size (1 != 2). Mirror sync in progress?",
      "untrusted",
    ],
    ["  Could not resolve 'mirror.test'\nE: Failed to fetch", "unavailable"],
    ["  Could not connect to 127.0.0.1:1 (127.0.0.1). - connect (111)", "unavailable"],
    ["E: The repository 'http://m bookworm Release' does not have a Release file.", "unavailable"],
    ["build: 12: mmdebstrap: not found", "precondition"],
    ["cp: error writing: No space left on device\nE: Failed to fetch", "exhausted"],
    ["mke2fs: Could not allocate block in ext2 filesystem", "exhausted"],
    ["something else", "internal"],
  ];
  for (const [stderr, kind] of cases) {
    const error = buildFailure(debianBookworm, "exit code 1", stderr, "/state/staging");
    assert.equal(error.kind, kind, stderr);
    assert.match(error.message, /^Cannot build image "debian-bookworm": /);
    assert.ok(kind === "internal" || error.hint !== undefined, stderr);
  }
  const full = buildFailure(debianBookworm, "1", "No space left on device", "/state/staging");
  assert.match(full.message, /needs about 1\.0 GiB free in "\/state\/staging"/);
});

Deno.test("each reason why namespaces cannot be made has the command that mends it", () => {
  const hint = (uid: number, output: string) => namespaceProblem(uid, output)[1];
  const missing = "unshare: failed to execute newuidmap: No such file or directory";
  assert.match(hint(1000, missing), /apt-get install .*uidmap/);
  assert.match(hint(1000, 'unshare: no line matching user "x" in /etc/subuid'), /--add-subuids/);
  assert.match(hint(1000, "unshare: unshare failed: Operation not permitted"), /sysctl/);
  assert.match(hint(0, "unshare: unshare failed: Operation not permitted"), /privileged/);
});
