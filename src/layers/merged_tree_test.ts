import assert from "node:assert/strict";
import fc from "fast-check";
import type { Content, Inode } from "../ext4/inode.ts";
import { isBangerError } from "../model/errors.ts";
import { defaultLimits, type LayerLimits } from "./limits.ts";
import { MergedTree } from "./merged_tree.ts";
import { refusal, shown } from "./refusal.ts";
import type { TarEntry } from "./tar_entry.ts";

type Given = Partial<TarEntry> & Pick<TarEntry, "name">;

function entry(given: Given): TarEntry {
  return {
    type: given.name.endsWith("/") ? "directory" : "file",
    link: "",
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    major: 0,
    minor: 0,
    xattrs: [],
    ...given,
  };
}

/** A merged tree whose files have their entry's owner as content, and the contents it released. */
function merge(layers: readonly (readonly Given[])[], limits: Partial<LayerLimits> = {}) {
  const released: Content[] = [];
  const made = { seconds: 1, nanoseconds: 0 };
  const tree = new MergedTree({ release: (content) => released.push(content) }, {
    ...defaultLimits,
    ...limits,
  }, made);
  for (const layer of layers) {
    tree.beginLayer();
    for (const given of layer) {
      const each = entry(given);
      const file = tree.apply(
        each,
        (rule, code) => refusal("layer", `entry ${shown(each.name)}`, rule, code),
      );
      if (file !== undefined) file.content = { size: each.uid, extents: [] };
    }
  }
  return { tree, released: released.map(({ size }) => size) };
}

/** Every path, with the owner of what is there; directories end with a slash. */
function listed(inode: Inode, path = ""): string[] {
  if (inode.body.type !== "directory") {
    const content = inode.body.type === "file" ? inode.body.content.size : inode.body.type;
    return [`${path}=${content}`];
  }
  return [
    ...(path === "" ? [] : [`${path}/`]),
    ...[...inode.body.children].flatMap(([name, child]) =>
      listed(child, path === "" ? name : `${path}/${name}`)
    ),
  ].sort();
}

function refused(
  layers: readonly (readonly Given[])[],
  words: RegExp,
  limits: Partial<LayerLimits> = {},
) {
  assert.throws(() => merge(layers, limits), (error) => {
    assert.ok(isBangerError(error, "untrusted"), `${error}`);
    assert.match(error.message, /^Cannot unpack layer "layer": entry "/);
    assert.match(error.message, words);
    return true;
  });
}

const names = ["a", "b", "c"];
const path = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 });
const step = fc.tuple(fc.constantFrom("file", "directory", "gone", "opaque"), path);

/** The same by brute force: a set of paths per layer, applied after the layer below. */
function simple(layers: readonly (readonly [string, string[]][])[]): string[] {
  let lower = new Map<string, string>();
  let owner = 0;
  for (const layer of layers) {
    const upper = new Map<string, string>();
    const hide = (hidden: (path: string) => boolean) => {
      for (const each of [...lower.keys()]) if (hidden(each)) lower.delete(each);
    };
    for (const [kind, parts] of layer) {
      owner++;
      const name = parts.join("/");
      if (kind === "gone") hide((each) => each === name || each.startsWith(`${name}/`));
      else if (kind === "opaque") hide((each) => each.startsWith(`${name}/`));
      else {
        for (let depth = 1; depth < parts.length; depth++) {
          upper.set(parts.slice(0, depth).join("/"), "/");
        }
        if (kind === "directory") {
          upper.set(name, "/");
          if (lower.get(name) !== "/") lower.delete(name);
        } else {
          hide((each) => each.startsWith(`${name}/`));
          for (const each of [...upper.keys()]) if (each.startsWith(`${name}/`)) upper.delete(each);
          upper.set(name, `=${owner}`);
        }
      }
    }
    lower = new Map([...lower, ...upper]);
  }
  return [...lower].map(([each, kind]) => `${each}${kind}`).sort();
}

Deno.test("random layers make the tree that a simple model makes", () => {
  fc.assert(
    fc.property(fc.array(fc.array(step, { maxLength: 8 }), { maxLength: 4 }), (layers) => {
      // An entry below a file is refused, and a whiteout is only of what lower layers have: the
      // model keeps to what real layers have, one kind of thing per path and layer.
      const sound = layers.map((layer) =>
        layer.filter(([kind, parts], index) => {
          const name = parts.join("/");
          return !layer.slice(0, index).some(([earlier, others]) => {
            const other = others.join("/");
            if (other === name) return true;
            const isBelow = name.startsWith(`${other}/`) && earlier === "file";
            return isBelow || (kind === "file" && other.startsWith(`${name}/`)) ||
              (earlier === "gone" || kind === "gone"
                ? name.startsWith(other) || other.startsWith(name)
                : false);
          });
        })
      );
      const clean = dropBelowFiles(sound);
      let owner = 0;
      const { tree } = merge(
        clean.map((layer) => layer.map(([kind, parts]) => given(kind, parts, ++owner))),
      );
      assert.deepEqual(listed(tree.root), simple(clean));
    }),
    { numRuns: 2000 },
  );
});

/** Leaves out entries that the layers so far make impossible: those below a file. */
function dropBelowFiles(layers: readonly (readonly [string, string[]][])[]) {
  const kept: [string, string[]][][] = [];
  for (const layer of layers) {
    kept.push([]);
    for (const each of layer) {
      const paths = simple([...kept.slice(0, -1), kept.at(-1)!]);
      const files = paths.filter((line) => line.includes("=")).map((line) => line.split("=")[0]!);
      const name = each[1].join("/");
      const isBelow = files.some((file) =>
        name.startsWith(`${file}/`) || (each[0] === "opaque" && name === file)
      );
      if (!isBelow) kept.at(-1)!.push(each);
    }
  }
  return kept;
}

function given(kind: string, parts: readonly string[], uid: number): Given {
  const name = parts.join("/");
  if (kind === "directory") return { name: `${name}/`, uid };
  if (kind === "gone") return { name: [...parts.slice(0, -1), `.wh.${parts.at(-1)}`].join("/") };
  if (kind === "opaque") return { name: `${name}/.wh..wh..opq` };
  return { name, uid };
}

Deno.test("contents are released with the last name, and only then", () => {
  const { tree, released } = merge([
    [{ name: "a", uid: 10 }, { name: "b", type: "hardlink", link: "a" }, { name: "d/x", uid: 20 }],
    [{ name: ".wh.a" }, { name: "d", uid: 30 }],
  ]);
  assert.deepEqual(released, [20]);
  assert.deepEqual(listed(tree.root), ["b=10", "d=30"]);
  assert.deepEqual(
    merge([[{ name: "a", uid: 1 }], [{ name: "a", uid: 2 }], [{ name: ".wh.a" }]]).released,
    [1, 2],
  );
});

Deno.test("symlinks on the way are followed inside the tree, never out of it", () => {
  const { tree } = merge([[
    { name: "real/", type: "directory" },
    { name: "out", type: "symlink", link: "/../../../real" },
    { name: "out/x", uid: 1 },
    { name: "up", type: "symlink", link: "real/../../.." },
    { name: "up/y", uid: 2 },
    { name: "hard", type: "hardlink", link: "out/x" },
    { name: "real/deep/back", type: "symlink", link: "/../top" },
    { name: "real/deep/back/z", uid: 3 },
  ]]);
  assert.deepEqual(listed(tree.root), [
    "hard=1",
    "out=symlink",
    "real/",
    "real/deep/",
    "real/deep/back=symlink",
    "real/x=1",
    "top/",
    "top/z=3",
    "up=symlink",
    "y=2",
  ]);
});

Deno.test("a whiteout hides only what lower layers have", () => {
  const { tree } = merge([
    [{ name: "d/low", uid: 1 }, { name: "e", uid: 2 }],
    [{ name: "d/new", uid: 3 }, { name: ".wh.d" }, { name: "e", uid: 4 }, { name: ".wh.e" }],
  ]);
  assert.deepEqual(listed(tree.root), ["d/", "d/new=3", "e=4"]);
});

Deno.test("aufs's own entries say nothing", () => {
  const { tree } = merge([[{ name: "a" }, { name: ".wh..wh.plnk/" }, { name: ".wh..wh.aufs" }]]);
  assert.deepEqual(listed(tree.root), ["a=0"]);
});

Deno.test("unsafe entries are refused", () => {
  refused([[{ name: "a/../b" }]], /"a\/\.\.\/b" has "\.\." in its name/);
  refused([[{ name: ".." }]], /has "\.\." in its name/);
  refused([[{ name: "n\0ul" }]], /"n\\x00ul" has a NUL/);
  refused([[{ name: "x".repeat(256) }]], /part of more than 255 bytes/);
  refused([[{ name: "x/".repeat(2100) }]], /name of more than 4095 bytes/);
  refused([[{ name: "/", type: "symlink", link: "x" }]], /would replace the root/);
  refused([[{ name: "a" }, { name: "a/b" }]], /"a\/b" is below something that is no directory/);
  refused([[{ name: "a", type: "hardlink", link: "b" }]], /link to "b", which does not exist/);
  refused([[{ name: "a", type: "hardlink", link: "../b" }]], /is a link that has "\.\."/);
  refused(
    [[{ name: "d/" }, { name: "a", type: "hardlink", link: "d" }]],
    /link to "d", a directory/,
  );
  refused([[{ name: "a", type: "symlink", link: "" }]], /target Linux cannot have/);
  refused([[{ name: "l", type: "symlink", link: "l" }, { name: "l/x" }]], /more than 40 symlinks/);
  for (const name of [".wh.", "d/.wh..", ".wh..."]) refused([[{ name }]], /whiteout of no name/);
});

Deno.test("limits end what would take too much", () => {
  const large = { name: "user.x", value: new Uint8Array(5000) };
  refused([[{ name: "a", xattrs: [large] }]], /more extended attributes than ext4 can hold/);
  refused([[{ name: "a", size: 2 ** 50 }]], /more than ext4 can hold/);
  refused(
    [[{ name: "aaaa" }, { name: "bbbb" }]],
    /"bbbb" is beyond the limit of 7 bytes of names/,
    { metadataBytes: 7 },
  );
  refused([[{ name: "a/b/c" }, { name: "d/e/f" }]], /"d\/e\/f" is beyond the limit of 3 lookups/, {
    lookups: 3,
  });
  refused([[{ name: "a/b/c/d" }]], /below more than 2 directories/, { depth: 2 });
});

Deno.test("repeated opaque whiteouts take no more time than one", () => {
  // Each that looked at all names again would make it hours.
  const lower = Array.from({ length: 100_000 }, (_, index) => ({ name: `d/${index}` }));
  const upper = Array.from({ length: 100_000 }, (_, index) => ({ name: `d/new/${index}` }));
  const opaque = Array.from({ length: 100_000 }, () => ({ name: "d/.wh..wh..opq" }));
  const { tree } = merge([lower, [...upper, ...opaque]]);
  assert.equal(listed(tree.root).length, 100_002);
});

Deno.test("attributes that Linux refuses or that belong to a host are left out", () => {
  const value = new Uint8Array(1);
  const xattrs = [
    "user.a",
    "security.selinux",
    "trusted.overlay.opaque",
    "system.nfs4_acl",
    "os2.x",
    "trusted.b",
  ]
    .map((name) => ({ name, value }));
  const { tree } = merge([[{ name: "f", xattrs }, { name: "p", type: "fifo", xattrs }]]);
  assert.ok(tree.root.body.type === "directory");
  const [file, fifo] = [...tree.root.body.children.values()].map(({ attributes }) =>
    attributes.xattrs.map(({ name }) => name)
  );
  assert.deepEqual(file, ["user.a", "trusted.b"]);
  assert.deepEqual(fifo, ["trusted.b"]);
});
