import assert from "node:assert/strict";
import fc from "fast-check";
import { debianMirrorOf, parseListFile, parseSourcesFile } from "./apt_sources.ts";
import { checkMirrorUrl, findMirror } from "./find_mirror.ts";

Deno.test("a deb822 file gives a source for each URI and suite", () => {
  const sources = parseSourcesFile(`# a comment
Types: deb deb-src
URIs: http://mirror.test/debian/
Suites: bookworm
 bookworm-updates
# between
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://mirror.test/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://off.test/debian
Suites: bookworm
Components: main
`);
  assert.deepEqual(sources, [
    {
      uri: "http://mirror.test/debian",
      suite: "bookworm",
      components: ["main", "contrib"],
      signedBy: "/usr/share/keyrings/debian-archive-keyring.gpg",
    },
    {
      uri: "http://mirror.test/debian",
      suite: "bookworm-updates",
      components: ["main", "contrib"],
      signedBy: "/usr/share/keyrings/debian-archive-keyring.gpg",
    },
    {
      uri: "https://mirror.test/debian-security",
      suite: "bookworm-security",
      components: ["main"],
      signedBy: null,
    },
  ]);
});

Deno.test("one-line files are read, other transports and broken lines left out", () => {
  const sources = parseListFile(`
# deb http://off.test/debian bookworm main
deb-src http://mirror.test/debian bookworm main
deb cdrom:[Debian]/ bookworm main
deb http://
deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian bookworm main non-free # why
`);
  assert.deepEqual(sources, [{
    uri: "http://mirror.test/debian",
    suite: "bookworm",
    components: ["main", "non-free"],
    signedBy: "/k.gpg",
  }]);
});

Deno.test("the mirror is Debian's own archive of that suite, not security or a third party", () => {
  const sources = parseListFile(`
deb http://third.test/apt bookworm main
deb http://security.test/debian-security bookworm main
deb http://mirror.test/debian bookworm-updates main
deb http://other.test/debian bookworm contrib
deb http://mirror.test/debian bookworm main
`);
  assert.equal(debianMirrorOf(sources, "bookworm"), "http://mirror.test/debian");
  assert.equal(debianMirrorOf(sources, "trixie"), undefined);
});

Deno.test("garbage gives sources or nothing, never a failure", () => {
  const line = fc.constantFrom(
    "Types: deb",
    "URIs: http://a.test/debian http://[",
    "Suites: x",
    " ",
    "",
  );
  fc.assert(fc.property(fc.string(), fc.array(line), (noise, lines) => {
    const text = `${noise}\n${lines.join("\n")}`;
    debianMirrorOf([...parseListFile(`deb ${noise}`), ...parseSourcesFile(text)], "x");
  }));
});

Deno.test("a configured mirror comes first; without any the error says what to set", async () => {
  const aptDir = await Deno.makeTempDir({ prefix: "banger-apt-test-" });
  try {
    const suite = "bookworm";
    const configured = "https://own.test/debian/";
    assert.equal(await findMirror({ suite, aptDir, configured }), "https://own.test/debian");
    await assert.rejects(() => findMirror({ suite, aptDir }), /apt has no source for "bookworm"/);
    await Deno.mkdir(`${aptDir}/sources.list.d`);
    await Deno.writeTextFile(
      `${aptDir}/sources.list.d/a.list`,
      "deb http://mirror.test/debian bookworm main\n",
    );
    assert.equal(await findMirror({ suite, aptDir }), "http://mirror.test/debian");
  } finally {
    await Deno.remove(aptDir, { recursive: true });
  }
  assert.throws(() => checkMirrorUrl("file:///srv/debian"), /not an http or https URL/);
});
