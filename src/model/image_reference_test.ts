import assert from "node:assert/strict";
import fc from "fast-check";
import { BangerError } from "./errors.ts";
import { type ImageReference, imageReferenceText, parseImageReference } from "./image_reference.ts";

const hex = "0123456789abcdef".repeat(4);

Deno.test("references are read as Docker reads them", () => {
  const cases: Record<string, string> = {
    "alpine": "docker.io/library/alpine:latest",
    "alpine:3.20": "docker.io/library/alpine:3.20",
    "library/alpine": "docker.io/library/alpine:latest",
    "team/app:v1": "docker.io/team/app:v1",
    "docker.io/alpine": "docker.io/library/alpine:latest",
    "index.docker.io/alpine": "docker.io/library/alpine:latest",
    "localhost/x": "localhost/x:latest",
    "localhost:5000/x": "localhost:5000/x:latest",
    "Host/x": "Host/x:latest",
    "example.com/a/b/c_d__e.f-g--h": "example.com/a/b/c_d__e.f-g--h:latest",
    "[::1]:5000/x:y": "[::1]:5000/x:y",
    "host:5000": "docker.io/library/host:5000",
    [`alpine@sha256:${hex}`]: `docker.io/library/alpine@sha256:${hex}`,
    [`h:1/a/b:t@sha256:${hex}`]: `h:1/a/b:t@sha256:${hex}`,
    [`x@sha512:${hex}${hex}`]: `docker.io/library/x@sha512:${hex}${hex}`,
  };
  for (const [text, full] of Object.entries(cases)) {
    assert.equal(imageReferenceText(parseImageReference(text)), full, text);
  }
});

Deno.test("a bad reference is refused with the rule that it breaks", () => {
  const cases: [string, RegExp][] = [
    ["", /it is empty/],
    ["Alpine", /must be in lower case/],
    ["a/B", /must be in lower case/],
    ["https://example.com/x", /leave out the "https:\/\/"/],
    [hex, /not by its id/],
    ["alpine:", /its tag must be/],
    ["alpine:-x", /its tag must be/],
    [`alpine:${"x".repeat(129)}`, /its tag must be/],
    ["alpine@", /is no digest/],
    ["alpine@sha256:abc", /is no digest/],
    ["alpine@sha256:../../etc/passwd", /is no digest/],
    [`alpine@sha256:${hex.toUpperCase()}`, /is no digest/],
    [`alpine@md5:${hex.slice(0, 32)}`, /is no digest/],
    ["user@host.com/x", /is no digest/],
    ["a//b", /a repository is made of/],
    ["a/../b", /a repository is made of/],
    ["/x", /a repository is made of/],
    ["x/", /a repository is made of/],
    ["example.com/", /names no repository/],
    ["-host.com/x", /no registry's host name/],
    ["host:99999/x", /no registry's host name/],
    ["host.com:port/x", /no registry's host name/],
    ["a b", /a repository is made of/],
    ["a\n", /a repository is made of/],
    ["x".repeat(2000), /over 1024 characters/],
    [`h.de/${"x".repeat(260)}`, /over 255 characters/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => parseImageReference(text), (error: unknown) => {
      assert.ok(error instanceof BangerError);
      assert.equal(error.kind, "invalid");
      assert.match(error.message, message);
      assert.match(error.hint ?? "", /alpine/);
      return true;
    }, text);
  }
});

const lower = "abcdefghijklmnopqrstuvwxyz0123456789";
const word = (alphabet: string, most: number) =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength: 1, maxLength: most });
const component = fc.tuple(
  word(lower, 6),
  fc.array(fc.tuple(fc.constantFrom(".", "_", "__", "-", "---"), word(lower, 4)), { maxLength: 2 }),
).map(([first, rest]) => first + rest.map(([separator, part]) => separator + part).join(""));
const reference: fc.Arbitrary<ImageReference> = fc.record({
  domain: fc.constantFrom("localhost", "a.example", "h:5000", "127.0.0.1:1", "[::1]:5000"),
  path: fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/")),
  tag: word(`${lower}_`, 20),
  digest: fc.option(fc.constant(`sha256:${hex}` as const)),
}, { noNullPrototype: true });

Deno.test("what a reference says is read back, and read again it is the same", () => {
  fc.assert(fc.property(reference, (one) => {
    assert.deepEqual(parseImageReference(imageReferenceText(one)), one);
  }));
});

Deno.test("any text is a reference with safe parts, or is refused", () => {
  const nearly = fc.string({
    unit: fc.constantFrom(..."aA0.:/@-_[]%?# sha256é\0\n"),
    maxLength: 40,
  });
  fc.assert(
    fc.property(fc.oneof(nearly, fc.string()), (text) => {
      let parsed: ImageReference;
      try {
        parsed = parseImageReference(text);
      } catch (error) {
        assert.ok(error instanceof BangerError && error.kind === "invalid");
        return;
      }
      const url = new URL(`https://${parsed.domain}/v2/${parsed.path}/manifests/${parsed.tag}`);
      assert.equal(url.pathname, `/v2/${parsed.path}/manifests/${parsed.tag}`);
      assert.equal(url.username + url.password + url.search + url.hash, "");
      assert.deepEqual(parseImageReference(imageReferenceText(parsed)), parsed);
    }),
    { numRuns: 2000 },
  );
});
