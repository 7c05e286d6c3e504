import { bytesOf, type ByteString } from "../../src/ext4/byte_string.ts";
import { findMirror } from "../../src/debian/find_mirror.ts";
import { run } from "../../src/process/run.ts";
import {
  entryBytes,
  type FixtureEntry,
  header,
  joined,
  padded,
  paxRecord,
  tarOf,
} from "./layer_fixture.ts";
import { packageTars } from "./guest_images.ts";
import type { StoredForm } from "./oci_layout.ts";

/** An image that is flattened and compared with what umoci unpacks. */
export interface FlattenImage {
  readonly name: string;
  readonly layers: () => Promise<Uint8Array[]> | Uint8Array[];
  readonly form?: StoredForm;
  /** The same for umoci, where that cannot read `layers`. */
  readonly forUmoci?: () => Promise<Uint8Array[]>;
  /** Whether there are `user.` attributes, which some kernels refuse in memory. */
  readonly isOnDisk?: boolean;
}

/** Capability `cap_net_raw=ep`, revision 2. */
const capability = Uint8Array.from([1, 0, 0, 2, 0, 32, 0, 0, ...new Array(12).fill(0)]);

/** Access control list: owner rw, user 1000 r, group r, mask r, others none. */
const acl = Uint8Array.from([
  ...[2, 0, 0, 0],
  ...[1, 0, 6, 0, 255, 255, 255, 255],
  ...[2, 0, 4, 0, 232, 3, 0, 0],
  ...[4, 0, 4, 0, 255, 255, 255, 255],
  ...[16, 0, 4, 0, 255, 255, 255, 255],
  ...[32, 0, 0, 0, 255, 255, 255, 255],
]);

const file = (
  name: ByteString,
  content = `content of ${name}`,
  more: Partial<FixtureEntry> = {},
) => ({
  name,
  content,
  ...more,
});
const dir = (name: ByteString, more: Partial<FixtureEntry> = {}) => ({ name: `${name}/`, ...more });
const link = (name: ByteString, to: ByteString) => ({ name, flag: "2", link: to });
const hardLink = (name: ByteString, to: ByteString) => ({ name, flag: "1", link: to });
const gone = (name: ByteString) => file(name.replace(/([^/]*)$/, ".wh.$1"), "");
const opaque = (name: ByteString) => file(`${name}/.wh..wh..opq`, "");

const images = (name: string, ...layers: FixtureEntry[][]): FlattenImage => ({
  name,
  layers: () => layers.map(tarOf),
  isOnDisk: layers.flat().some(({ xattrs }) => xattrs !== undefined),
});

/** A small Debian that is unpacked but not configured. */
async function debianTar(): Promise<Uint8Array> {
  const mirror = await findMirror({ suite: "bookworm" });
  const { stdout } = await run("mmdebstrap", [
    ...["--quiet", "--variant=extract", "--include=dash,libc6,coreutils,base-files,passwd"],
    ...["bookworm", "-", mirror],
  ], { timeoutMs: 180_000, maxStdoutBytes: 512 * 1024 ** 2 });
  return stdout;
}

const plainFiles = [file("a"), file("b", "x".repeat(5000))];

/** What GNU tar makes of a sparse file, in one of its forms. */
async function sparseTar(form: string): Promise<Uint8Array> {
  const work = await Deno.makeTempDir({ prefix: "banger-sparse-" });
  try {
    const path = `${work}/sparse`;
    using sparse = await Deno.open(path, { write: true, create: true });
    await sparse.truncate(64 * 1024 ** 2);
    for (let index = 0; index < 40; index++) {
      await sparse.seek(index * 1_500_000 + index * 77, Deno.SeekMode.Start);
      await sparse.write(new Uint8Array(5000).fill(index + 1));
    }
    const [format = "", version] = form.split(" ");
    const options = [`--format=${format}`];
    if (version !== undefined) options.push(`--sparse-version=${version}`);
    const tar = await run("tar", ["--sparse", ...options, "-cf", "-", "-C", work, "sparse"]);
    return tar.stdout;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

function manyFiles(count: number): Uint8Array {
  const entries: FixtureEntry[] = [dir("many"), dir("spread")];
  for (let index = 0; index < count; index++) {
    const name = index % 2 === 0 ? `many/file-${index}` : `spread/${index % 97}/file-${index}`;
    entries.push(file(name, `${index}`));
  }
  return tarOf(entries);
}

/** A file of a gigabyte with some data in it, as a sparse one of version 1.0. */
function largeTar(bytes: number): Uint8Array {
  const data: Uint8Array[] = [];
  const map: number[] = [];
  for (let at = 0; at < bytes; at += 30_000_019) {
    map.push(at, 9000);
    data.push(new Uint8Array(9000).fill(at % 255 + 1));
  }
  map.push(bytes, 0);
  const lines = [map.length / 2, ...map].map((number) => `${number}\n`).join("");
  const content = joined([padded(bytesOf(lines)), ...data]);
  return tarOf([{
    name: "GNUSparseFile.0/large",
    content,
    pax: {
      "GNU.sparse.major": "1",
      "GNU.sparse.minor": "0",
      "GNU.sparse.name": "large",
      "GNU.sparse.realsize": String(bytes),
    },
  }]);
}

const longName = "n".repeat(255);

/** The images, from small to large. */
export const flattenImages: readonly FlattenImage[] = [
  images("one static binary and nothing else", [file("app", "\x7fELF", { mode: 0o755 })]),
  images("every type of entry", [
    dir(".", { mode: 0o711, uid: 3, gid: 4, mtime: 1_000_000_000 }),
    dir("dir", { mode: 0o2750, uid: 5, gid: 6 }),
    file("dir/file", "x", { mode: 0o6711, uid: 1000, gid: 1000 }),
    file("dir/sticky", "x", { mode: 0o1644 }),
    link("link", "dir/file"),
    link("dangling", "/no/where"),
    link("long-link", "t".repeat(300)),
    link("link-59", "t".repeat(59)),
    link("link-60", "t".repeat(60)),
    hardLink("hard", "dir/file"),
    hardLink("hard-to-link", "link"),
    file("empty", ""),
  ]),
  images("devices and FIFOs", [
    dir("dev"),
    { name: "dev/null", flag: "3", major: 1, minor: 3, mode: 0o666 },
    { name: "dev/vda", flag: "4", major: 254, minor: 0, mode: 0o660, gid: 6 },
    { name: "dev/large", flag: "4", major: 259, minor: 70_000 },
    { name: "dev/initctl", flag: "6", mode: 0o600 },
    hardLink("dev/null2", "dev/null"),
  ]),
  images("capabilities, attributes and access control lists", [
    file("ping", "ELF", { xattrs: { "security.capability": capability }, mode: 0o755 }),
    file("many", "x", {
      xattrs: {
        "user.one": "1",
        "user.binary": Uint8Array.from([0, 10, 61, 255, 0]),
        // Two that go into a block, where the kernel finds them by their order.
        "user.large": new Uint8Array(900).fill(7),
        "user.also": new Uint8Array(900).fill(8),
        "trusted.kept": "yes",
        "security.capability": capability,
      },
    }),
    file("listed", "x", { xattrs: { "system.posix_acl_access": acl }, mode: 0o640 }),
    dir("inherited", { xattrs: { "system.posix_acl_default": acl, "user.dir": "d" } }),
    { name: "fifo", flag: "6", xattrs: { "security.test": "s" } },
    { ...link("symlink", "ping"), xattrs: { "trusted.test": "t" } },
  ]),
  images("names of 255 bytes and paths that are long", [
    dir(longName),
    file(`${longName}/${"m".repeat(255)}`),
    file(`${longName}/${"a".repeat(200)}/${"b".repeat(200)}/${"c".repeat(200)}`),
    hardLink(`${longName}/hard`, `${longName}/${"m".repeat(255)}`),
  ]),
  images("names that are not UTF-8, or strange", [
    file("latin-\xe9\xff"),
    file("new\nline"),
    file("tab\tand\\backslash"),
    file("utf8-\xc3\xa9"),
    file(" "),
    file("...", "dots"),
    dir("\x80\x81"),
    file("\x80\x81/\xfe"),
    link("to-\xe9", "latin-\xe9\xff"),
  ]),
  images("owners up to the largest", [
    file("huge", "x", { uid: 2 ** 32 - 2, gid: 2 ** 32 - 2 }),
    file("large", "x", { uid: 100_000, gid: 65_536 }),
    file("pax", "x", { pax: { uid: "3000000000", gid: "2097152" } }),
    dir("nobody", { uid: 65_534, gid: 65_534 }),
  ]),
  images("times before 1970, after 2038 and with fractions", [
    file("old", "x", { mtime: -1_000_000 }),
    file("late", "x", { mtime: 5_000_000_000 }),
    file("fraction", "x", { pax: { mtime: "1234567890.123456789" } }),
    file("negative", "x", { pax: { mtime: "-1.25" } }),
    dir("dir", { mtime: 12_345 }),
    file("dir/inside"),
  ]),
  images("a deep tree", [file(Array.from({ length: 200 }, () => "d").join("/"))]),
  images("directories that no layer has an entry for", [
    file("a/b/c/file"),
    dir("a/b", { mode: 0o700 }),
  ], [
    file("a/b/x/y/z"),
    link("q/w/link", "x"),
  ]),
  images("absolute and dotted names", [
    file("/absolute"),
    file("./dotted"),
    file(".//double//slash"),
    file("in/./the/./middle"),
    hardLink("to-absolute", "/absolute"),
    link("upwards", "../../../../absolute"),
  ]),
  images(
    "whiteouts of files, trees and what is not there",
    [
      dir("etc"),
      file("etc/a"),
      file("etc/b"),
      dir("tree/x/y"),
      file("tree/x/y/z"),
      link("l", "etc"),
    ],
    [gone("etc/a"), gone("tree"), gone("not/there"), gone("etc/missing"), gone("l")],
    [file("etc/a", "again"), dir("tree"), file("tree/new")],
    [gone("etc/b"), file("etc/b", "same layer, later")],
    [file("etc/c", "same layer, before"), gone("etc/c")],
  ),
  images(
    "opaque directories, before and after what their layer adds",
    [
      dir("one"),
      file("one/a"),
      dir("one/sub"),
      file("one/sub/b"),
      dir("two"),
      file("two/a"),
      file("two/keep/x"),
    ],
    [
      dir("one", { mode: 0o700 }),
      opaque("one"),
      file("one/new"),
      file("two/new"),
      dir("two/keep"),
      opaque("two"),
    ],
    [opaque("one"), opaque("one"), file("one/sub/c")],
    [file("deep/a/b/c"), opaque("deep"), file("deep/a/d"), opaque("deep/a")],
  ),
  images(
    "files instead of directories and the reverse",
    [dir("a"), file("a/in/it"), file("b"), link("c", "a"), dir("d"), file("d/x"), file("e")],
    [
      file("a", "now a file"),
      dir("b"),
      file("b/x"),
      dir("c"),
      file("c/x"),
      link("d", "b"),
      dir("e", { mode: 0o700 }),
    ],
    [{ name: "a", flag: "6" }, file("b", "a file again"), file("e/in")],
  ),
  images(
    "entries below symlinks",
    [
      dir("usr/lib"),
      link("lib", "usr/lib"),
      link("abs", "/usr"),
      link("up", "../../usr"),
      link("new", "made/here"),
    ],
    [file("lib/one"), file("abs/lib/two"), file("up/three"), file("new/four"), gone("lib/nothing")],
    [gone("lib/one"), file("lib/five"), hardLink("lib/hard", "abs/lib/five")],
  ),
  images(
    "hard links over layers",
    [file("a", "a"), hardLink("b", "a"), hardLink("c", "b"), file("lone")],
    [hardLink("d", "a"), hardLink("dir/e", "c"), gone("a")],
    [file("b", "replaced"), hardLink("lone2", "lone"), gone("lone")],
    [hardLink("f", "d"), { ...hardLink("g", "d"), mode: 0o600, uid: 77 }, gone("c")],
  ),
  images(
    "changed metadata of directories and files",
    [
      dir("d", { mode: 0o700, uid: 1, xattrs: { "user.a": "1" } }),
      file("d/f", "1"),
      file("g", "1", { mode: 0o600 }),
    ],
    [dir("d", { mode: 0o755, uid: 2, mtime: 1_111_111_111 }), file("g", "2", { mode: 0o644 })],
    [dir("./", { mode: 0o750 }), dir("d", { xattrs: { "user.b": "2" } })],
  ),
  images(
    "duplicates within a layer",
    [
      file("a", "1"),
      file("a", "2"),
      hardLink("b", "a"),
      file("a", "3"),
      dir("d"),
      file("d/x"),
      dir("d", { mode: 0o700 }),
      link("l", "1"),
      link("l", "2"),
    ],
  ),
  {
    name: "plain tar, with global pax headers",
    form: "none",
    layers: () => {
      const comment = paxRecord("comment", bytesOf("global"));
      const start = header({ name: "pax_global", flag: "g", size: comment.length });
      return [joined([start, padded(comment), tarOf(plainFiles)])];
    },
    forUmoci: () => Promise.resolve([tarOf(plainFiles)]),
  },
  {
    name: "no end mark",
    layers: () => [joined([entryBytes(file("a")), entryBytes(file("b"))])],
  },
  {
    name: "no entry at all, between others",
    layers: () => [tarOf([file("a")]), tarOf([]), tarOf([file("b")])],
  },
  ...["gnu", "pax 0.0", "pax 0.1", "pax 1.0"].map((form): FlattenImage => ({
    name: `a sparse file, as ${form}`,
    layers: async () => [await sparseTar(form)],
    // It does not know the type `S`.
    ...(form === "gnu" ? { forUmoci: async () => [await sparseTar("pax 1.0")] } : {}),
  })),
  { name: "packages: busybox and nothing else", layers: () => packageTars(["busybox-static"]) },
  {
    name: "packages: one layer each, zstd",
    form: "zstd",
    layers: () => packageTars(["iputils-ping", "libc6", "sudo", "tzdata"]),
  },
  { name: "50,000 small files", layers: () => [manyFiles(50_000)], form: "none" },
  { name: "a file of 1 GiB", layers: () => [largeTar(1024 ** 3)] },
  {
    name: "Debian in layers",
    layers: async () => [
      await debianTar(),
      ...await packageTars(["busybox-static", "iputils-ping"]),
      tarOf([
        gone("usr/share/doc"),
        opaque("var/lib/dpkg/info"),
        file("etc/hostname", "changed"),
        gone("bin/ls"),
      ]),
    ],
  },
];
