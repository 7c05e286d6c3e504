import assert from "node:assert/strict";
import fc from "fast-check";
import { isBangerError } from "./errors.ts";
import { localSourceName, parseImageWord } from "./image_name.ts";
import { parseImageSource } from "./image_source.ts";
import { nameProblem } from "./names.ts";

function nameOf(text: string, ...names: string[]): string {
  const source = parseImageSource(text);
  assert.ok(source.kind !== "registry");
  return localSourceName(source, names);
}

Deno.test("a word is a name, a reference, or an image in files", () => {
  const kinds: [string, string][] = [
    ["debian-bookworm", "name"],
    ["oci", "name"],
    ["alpine:3.20", "reference"],
    ["library/oci:1", "reference"],
    ["oci:dir", "local"],
    ["docker-archive:x.tar", "local"],
  ];
  for (const [word, kind] of kinds) assert.deepEqual(Object.keys(parseImageWord(word)), [kind]);
  for (const word of ["../x", "UPPER", "oci:", "docker-archive:"]) {
    assert.throws(() => parseImageWord(word), (error) => isBangerError(error, "invalid"), word);
  }
});

Deno.test("an image in files is called as the archive says, or as what it is in", () => {
  const cases: [string, string][] = [
    [nameOf("oci:/images/alpine"), "alpine"],
    [nameOf("oci:/images/alpine:3.20"), "alpine-3.20"],
    [nameOf("oci:/images/alpine:latest"), "alpine"],
    [nameOf("oci:/images/x:registry.example/team/app:2"), "app-2"],
    [nameOf("oci:/images/x", "docker.io/library/app:2"), "x"],
    [nameOf("oci:/"), "image"],
    [nameOf("oci:/My Images"), "my-images"],
    [nameOf("docker-archive:/tmp/app.tar"), "app"],
    [nameOf("docker-archive:/tmp/app.tar.gz"), "app"],
    [nameOf("docker-archive:/tmp/app.tar", "team/app:2"), "app-2"],
    [nameOf("docker-archive:/tmp/app.tar", "../..", "team/app:2"), "app-2"],
    [nameOf("docker-archive:/tmp/app.tar:a/b:1", "team/app:2"), "b-1"],
    [nameOf("docker-archive:/tmp/.tar"), "image"],
  ];
  for (const [name, expected] of cases) assert.equal(name, expected);
});

Deno.test("whatever path and tags say, the name is one", () => {
  const odd = fc.string({ unit: fc.constantFrom(..."aZ0.-_/ \n~é$"), maxLength: 90 });
  const path = fc.oneof(odd, fc.string({ maxLength: 300 })).map((text) =>
    `/${text.replace(/[:\0]/g, "")}`
  );
  fc.assert(
    fc.property(
      fc.constantFrom("oci", "docker-archive"),
      path,
      fc.array(fc.oneof(odd, fc.constantFrom("a:1", "X"))),
      (transport, where, names) => {
        assert.equal(nameProblem("image", nameOf(`${transport}:${where}`, ...names)), undefined);
      },
    ),
    { numRuns: 1000 },
  );
});
