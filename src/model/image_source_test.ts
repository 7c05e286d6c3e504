import assert from "node:assert/strict";
import { isBangerError } from "./errors.ts";
import { absoluteSource, imageSourceText, parseImageSource } from "./image_source.ts";

Deno.test("a source is a reference, a layout or an archive", () => {
  const cases: [string, string, string][] = [
    ["alpine", "registry", "docker.io/library/alpine:latest"],
    ["oci:/a/dir", "oci-layout", "oci:/a/dir"],
    ["oci:dir:3.20", "oci-layout", "oci:dir:3.20"],
    ["oci:dir:docker.io/library/x:1", "oci-layout", "oci:dir:docker.io/library/x:1"],
    ["docker-archive:x.tar", "docker-archive", "docker-archive:x.tar"],
    ["docker-archive:x.tar:a:1", "docker-archive", "docker-archive:x.tar:docker.io/library/a:1"],
  ];
  for (const [text, kind, full] of cases) {
    const source = parseImageSource(text);
    assert.equal(source.kind, kind);
    assert.equal(imageSourceText(source), full);
    assert.deepEqual(parseImageSource(full), source);
  }
});

Deno.test("a bad source is refused", () => {
  for (
    const text of ["oci:", "oci::tag", "oci:dir:", "oci:dir:-t", "docker-archive:", "oci:a\0b"]
  ) {
    assert.throws(() => parseImageSource(text), (error) => isBangerError(error, "invalid"), text);
  }
});

Deno.test("a relative path starts from the directory that is given, and says what it said", () => {
  const cases: [string, string][] = [
    ["oci:dir", "oci:/home/ann/dir"],
    ["oci:.", "oci:/home/ann"],
    ["oci:./a//b/:1", "oci:/home/ann/a/b:1"],
    ["oci:../x", "oci:/home/ann/../x"],
    ["oci:/", "oci:/"],
    ["docker-archive:/a/./x.tar", "docker-archive:/a/x.tar"],
  ];
  for (const [text, full] of cases) {
    const source = parseImageSource(text);
    assert.ok(source.kind !== "registry");
    assert.equal(imageSourceText(absoluteSource(source, "/home/ann")), full);
  }
});
