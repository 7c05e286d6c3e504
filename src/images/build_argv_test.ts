import assert from "node:assert/strict";
import { isBangerError } from "../model/errors.ts";
import { buildArgv, checkMirror, namespaceFlags } from "./build_argv.ts";

const uuid = "00000000-1111-2222-3333-444444444444";

Deno.test("root and an ordinary user differ only in the user namespace", () => {
  assert.deepEqual(buildArgv(0, "SCRIPT", "http://mirror.test/debian/", "/keys.gpg", uuid), [
    ...["--mount", "--pid", "--fork", "--kill-child", "--", "/bin/sh", "-c", "SCRIPT", "build"],
    ...["http://mirror.test/debian", "/keys.gpg", uuid],
  ]);
  const user = ["--user", "--map-auto", "--map-root-user"];
  assert.deepEqual(namespaceFlags(1000), [...user, ...namespaceFlags(0)]);
});

Deno.test("mirrors are plain http and https addresses", () => {
  for (
    const good of ["http://mirror.test/debian", "https://[::1]:8080/d", "http://a_b.test/~x/d"]
  ) {
    assert.equal(checkMirror(good), good);
  }
  assert.equal(checkMirror("https://mirror.test/debian//"), "https://mirror.test/debian");
  const bad = [
    ...["", "mirror.test", "file:///srv/debian", "ftp://mirror.test/d", "http://"],
    ...["http://mirror.test/d bookworm main", "http://mirror.test/d\ndeb x", "http://m.test/$(id)"],
    ...["http://m.test/[trusted=yes]", "http://m.test/'x'", "http://m.test/`id`", "copy:/srv"],
  ];
  for (const each of bad) {
    assert.throws(() => checkMirror(each), (error) => isBangerError(error, "invalid"), each);
  }
});

Deno.test("keyrings are plain absolute paths", () => {
  for (const bad of ["keys.gpg", "/a b.gpg", "/a]x", ""]) {
    const build = () => buildArgv(0, "", "http://mirror.test/debian", bad, uuid);
    assert.throws(build, (error) => isBangerError(error, "invalid"), bad);
  }
});
