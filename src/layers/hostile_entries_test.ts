import assert from "node:assert/strict";
import { bytesOf, type ByteString } from "../ext4/byte_string.ts";
import type { Inode } from "../ext4/inode.ts";
import {
  entryBytes,
  type FixtureEntry,
  header,
  joined,
  padded,
  paxRecord,
  tarOf,
} from "../../tests/support/layer_fixture.ts";
import { isBangerError } from "../model/errors.ts";
import { defaultLimits } from "./limits.ts";
import { MergedTree } from "./merged_tree.ts";
import { refusal, shown } from "./refusal.ts";
import { TarReader } from "./tar_reader.ts";

/** What every image of these tests has below the hostile layer. */
const benign: readonly FixtureEntry[] = [
  { name: "etc/", mode: 0o755 },
  { name: "etc/passwd", content: "root:x:0:0::/root:/bin/sh\n" },
  { name: "usr/bin/", mode: 0o755 },
  { name: "usr/bin/tool", content: "ELF", mode: 0o755 },
  { name: "bin", flag: "2", link: "usr/bin" },
  // Ways out for whoever follows them on the host.
  { name: "out/", mode: 0o777 },
  { name: "out/root", flag: "2", link: "/" },
  { name: "out/up", flag: "2", link: "../../../../../.." },
  { name: "out/a", flag: "2", link: "b" },
  { name: "out/b", flag: "2", link: "/../etc" },
];

/** A sort of entry, what it is to come to, and many of it. */
interface HostileClass {
  readonly name: string;
  /** The rule of the refusal; `null` when it is harmless inside the image, and stays in there. */
  readonly rule: RegExp | null;
  readonly code?: "IMAGE_UNSAFE_ENTRY" | "IMAGE_DAMAGED" | "IMAGE_LIMIT";
  readonly tars: readonly Uint8Array[];
}

const one = (entry: FixtureEntry) => tarOf([entry]);
const names = (each: readonly ByteString[], more: Partial<FixtureEntry> = {}) =>
  each.map((name) => one({ name, ...more }));
const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
const ups = times(12, (count) => "../".repeat(count + 1));
const targets = ["etc/passwd", "root/.ssh/authorized_keys", "proc/self/mem", "dev/sda"] as const;

/** A pax header with these bytes in front of a file. */
function behindPax(records: readonly Uint8Array[]): Uint8Array {
  const pax = joined(records);
  return joined([
    header({ name: "pax", flag: "x", size: pax.length }),
    padded(pax),
    entryBytes({ name: "x" }),
    new Uint8Array(1024),
  ]);
}

const classes: readonly HostileClass[] = [
  {
    name: "path traversal",
    rule: /has "\.\." in its name/,
    code: "IMAGE_UNSAFE_ENTRY",
    tars: [
      ...ups.flatMap((up) => names(targets.map((target) => `${up}${target}`))),
      ...ups.flatMap((up) => names(targets.map((target) => `out/root/${up}${target}`))),
      ...names(["..", "a/..", "./..", "etc/./../x", "a/b/c/../../../../x", "/..", "//../x"]),
    ],
  },
  {
    name: "absolute names stay inside",
    rule: null,
    tars: names(
      targets.flatMap((target) => [`/${target}`, `//${target}`, `/./${target}`, `///${target}`]),
    ),
  },
  {
    name: "symlinks on the way stay inside",
    rule: null,
    tars: ["out/root", "out/up", "out/a", "out/b", "bin"].flatMap((link) =>
      names(targets.map((target) => `${link}/${target.replaceAll("/", "-")}`))
    ),
  },
  {
    name: "the root as something else",
    rule: /would replace the root directory/,
    code: "IMAGE_UNSAFE_ENTRY",
    tars: [".", "./", "/", "./.", "//"].flatMap((name) =>
      ["0", "1", "2", "3", "4", "6"].filter((flag) => flag !== "0" || !name.endsWith("/")).map((
        flag,
      ) => one({ name, flag, link: "/etc" }))
    ),
  },
  {
    name: "hard links out of the image",
    rule: /is a link that has "\.\."|which does not exist|, a directory/,
    code: "IMAGE_UNSAFE_ENTRY",
    tars: [
      ...ups.map((up) => one({ name: "x", flag: "1", link: `${up}etc/shadow` })),
      ...["out/root", "out/up", "out/a", "out/b", "bin"].flatMap((link) =>
        ["shadow", "hostname", "../shadow", "./../../shadow"].map((target) =>
          one({ name: "x", flag: "1", link: `${link}/${target}` })
        )
      ),
      ...targets.slice(1).map((link) => one({ name: "x", flag: "1", link: `/${link}` })),
      ...["etc", "/", ".", "out", "usr/bin"].map((link) => one({ name: "x", flag: "1", link })),
    ],
  },
  {
    name: "hard links through symlinks to what the image has",
    rule: null,
    tars: ["out/root/etc/passwd", "out/a/passwd", "out/up/etc/passwd", "bin/tool", "/etc/passwd"]
      .map(
        (link) => one({ name: "x", flag: "1", link }),
      ),
  },
  {
    name: "device nodes are entries only",
    rule: null,
    tars: times(
      20,
      (minor) => one({ name: `dev/d${minor}`, flag: "34"[minor % 2]!, major: 8, minor }),
    ),
  },
  {
    name: "devices that Linux cannot have",
    rule: /has a device number that Linux cannot have/,
    code: "IMAGE_UNSAFE_ENTRY",
    tars: times(
      20,
      (at) => one({ name: "d", flag: "34"[at % 2]!, major: 4096 + at, minor: 2 ** 20 * (at % 3) }),
    ),
  },
  {
    name: "capabilities and attributes stay the image's",
    rule: null,
    tars: [
      "security.capability",
      "security.ima",
      "trusted.x",
      "user.x",
      "security.selinux",
      "system.x",
    ]
      .flatMap((name) =>
        times(
          5,
          (length) =>
            one({
              name: "usr/bin/tool",
              xattrs: { [name]: new Uint8Array(length * 200).fill(0xff) },
            }),
        )
      ),
  },
  {
    name: "attributes that cannot be",
    rule: /attribute whose name Linux cannot have|more extended attributes than ext4 can hold/,
    tars: [
      ...times(
        10,
        (more) => one({ name: "x", xattrs: { [`user.${"n".repeat(251 + more)}`]: "v" } }),
      ),
      ...times(10, (more) => one({ name: "x", xattrs: { "user.x": new Uint8Array(5000 + more) } })),
      ...times(10, (at) => one({ name: "x", xattrs: { [`user.${"n".repeat(at)}\0x`]: "v" } })),
    ],
  },
  {
    name: "NUL in names",
    rule: /has a NUL/,
    code: "IMAGE_UNSAFE_ENTRY",
    tars: times(20, (at) => {
      const value = `${"a".repeat(at)}\0${targets[at % 4]}`;
      return one({
        name: "x",
        flag: at % 2 === 0 ? "0" : "2",
        pax: { [at % 2 ? "linkpath" : "path"]: value },
      });
    }),
  },
  {
    name: "numbers of pax headers that are none",
    rule: /has a damaged (size|owner|group|time|sparse size|sparse map)/,
    code: "IMAGE_DAMAGED",
    tars: ["size", "uid", "gid", "mtime", "GNU.sparse.realsize", "GNU.sparse.offset"].flatMap((
      key,
    ) =>
      ["-", "--1", "0x10", "1e3", " 1", "1\0", "NaN", "9".repeat(30), "1,5"]
        .filter((value) => key !== "mtime" || !/^9+$/.test(value))
        .map((value) => one({ name: "x", pax: { [key]: value } }))
    ),
  },
  {
    name: "negative numbers of pax headers",
    rule: /has a damaged (size|owner|group|sparse size|sparse map)/,
    code: "IMAGE_DAMAGED",
    tars: ["size", "uid", "gid", "GNU.sparse.size", "GNU.sparse.numbytes"].flatMap((key) =>
      ["-1", "-0", "-5.5", `-${2 ** 40}`].map((value) => one({ name: "x", pax: { [key]: value } }))
    ),
  },
  {
    name: "pax records that lie about their length",
    rule: /has a damaged pax header/,
    code: "IMAGE_DAMAGED",
    tars: [
      ...[
        "0 a=b\n",
        "5 a=bb\n",
        "99999999 a=b\n",
        "a=b\n",
        " 6 a=b\n",
        "6 ab\n\n",
        "6\na=b\n",
        "-6 a=b\n",
      ],
      ...times(16, (at) => `${at + 20} path=${"x".repeat(3)}\n`),
    ].map((text) => behindPax([bytesOf(text)])),
  },
  {
    name: "owners that Linux cannot have",
    rule: /which Linux cannot have/,
    code: "IMAGE_UNSAFE_ENTRY",
    tars: times(20, (at) => one({ name: "x", [at % 2 ? "uid" : "gid"]: 2 ** 32 - 1 + at * 7 })),
  },
  {
    name: "whiteouts of no name, or of the root",
    rule: /is a whiteout of no name/,
    code: "IMAGE_UNSAFE_ENTRY",
    tars: [".wh.", ".wh..", ".wh..."].flatMap((name) =>
      ["", "etc/", "out/root/", "/", "./", "usr/bin/"].flatMap((dir) => names([`${dir}${name}`]))
    ),
  },
  {
    name: "repeated opaque whiteouts, here and through links",
    rule: null,
    tars: ["new", "out/root/new", "out/up/new", "new/deep/er"].map((dir) =>
      tarOf(times(500, () => ({ name: `${dir}/.wh..wh..opq` })))
    ),
  },
  {
    name: "below what is no directory",
    rule: /is below something that is no directory/,
    code: "IMAGE_UNSAFE_ENTRY",
    tars: ["etc/passwd", "out/root/etc/passwd", "usr/bin/tool", "bin/tool", "out/a/passwd"].flatMap(
      (file) => names(times(4, (depth) => `${file}${"/x".repeat(depth + 1)}`)),
    ),
  },
  {
    name: "symlinks in circles",
    rule: /is below more than 40 symlinks/,
    code: "IMAGE_UNSAFE_ENTRY",
    tars: times(20, (length) =>
      tarOf([
        ...times(
          length + 1,
          (at) => ({ name: `l${at}`, flag: "2", link: `l${(at + 1) % (length + 1)}` }),
        ),
        { name: "l0/x" },
      ])),
  },
  {
    name: "too deep and too long",
    rule: /below more than|name of more than|part of more than/,
    tars: [
      ...times(10, (more) => one({ name: `${"d/".repeat(2050 + more)}x` })),
      ...times(10, (more) => one({ name: "n".repeat(256 + more) })),
    ],
  },
  {
    name: "sparse maps that lie",
    rule: /sparse map|more than ext4 can hold|sparse size/,
    tars: [
      "0,5",
      "4,2,0,4",
      "0,3,2,3",
      `${2 ** 44},6`,
      "0,6,0,6",
      "0,6,6",
      "1,2,3",
      "7,6",
      "0,0",
      "-1,7",
      ...times(15, (at) => `0,${at + 7}`),
    ].map((map) =>
      one({
        name: "x",
        content: "abcdef",
        pax: { "GNU.sparse.name": "s", "GNU.sparse.realsize": "6", "GNU.sparse.map": map },
      })
    ),
  },
  {
    name: "types that nobody knows",
    rule: /has the unknown type/,
    code: "IMAGE_UNSAFE_ENTRY",
    tars: [..."89ABCDEMNVWYZabz!~"].map((flag) => one({ name: "x", flag })),
  },
  {
    name: "names that mean something to terminals and shells are names",
    rule: null,
    tars: names([
      "\x1b]52;c;eA==\x07",
      "$(id)",
      "`id`",
      "-rf",
      "--output=x",
      "a\nb",
      "\xff\xfe",
      "!sh",
      "|sh",
      "con",
    ]),
  },
  {
    name: "records that are not told of twice",
    rule: null,
    tars: [behindPax(times(50, (at) => paxRecord("comment", bytesOf("c".repeat(at)))))],
  },
];

interface Outcome {
  readonly tree: MergedTree;
  readonly error: unknown;
}

/** Applies the benign layer and then this one. */
function apply(tar: Uint8Array): Outcome {
  const made = { seconds: 1, nanoseconds: 0 };
  const tree = new MergedTree({ release: () => {} }, defaultLimits, made);
  try {
    for (const layer of [tarOf(benign), tar]) {
      tree.beginLayer();
      const reader = new TarReader(
        {
          entry: (entry) =>
            void tree.apply(
              entry,
              (rule, code) => refusal("sha256:0", `entry ${shown(entry.name)}`, rule, code),
            ),
          data: () => {},
          endFile: () => {},
        },
        defaultLimits,
        "sha256:0",
      );
      reader.push(layer);
      reader.end();
    }
    return { tree, error: undefined };
  } catch (error) {
    return { tree, error };
  }
}

/** Every name in the tree, which must be one that a directory can have. */
function namesOf(inode: Inode, path = ""): string[] {
  if (inode.body.type !== "directory") return [path];
  return [...inode.body.children].flatMap(([name, child]) => {
    assert.ok(name !== "" && name !== "." && name !== "..", path);
    assert.doesNotMatch(name, /[\/\0]/);
    return namesOf(child, `${path}/${name}`);
  });
}

Deno.test("every class of hostile entries is refused by its rule, or harmless in the image", () => {
  let count = 0;
  for (const { name, rule, code, tars } of classes) {
    for (const [index, tar] of tars.entries()) {
      count++;
      const what = `${name}, ${index}`;
      const { tree, error } = apply(tar);
      if (rule === null) assert.equal(error, undefined, `${what}: ${error}`);
      else {
        assert.ok(isBangerError(error, "untrusted"), `${what}: ${error}`);
        assert.match(error.message, /^Cannot unpack layer "sha256:0": entry /, what);
        assert.match(error.message, rule, what);
        if (code !== undefined) assert.equal(error.code, code, what);
        assert.ok([...error.message].every((c) => c >= " " && c <= "~" || c === "…"), what);
      }
      // What was there before is there still, also when the next layer broke off.
      const all = namesOf(tree.root);
      for (const path of ["/usr/bin/tool", "/bin", "/out/root", "/out/b", "/etc/passwd"]) {
        assert.ok(all.includes(path), `${what}: ${path} is gone`);
      }
    }
  }
  assert.ok(count >= 500, `${count} entries`);
});
