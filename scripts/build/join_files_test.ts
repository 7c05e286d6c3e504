import assert from "node:assert/strict";
import { joinFiles } from "./join_files.ts";

/** A split bundle as the bundler writes it: two lazy entries that share files. */
const bundle: Readonly<Record<string, string>> = {
  "main.js": `import {
  base
} from "./chunk-BASE.js";

// main.ts
const { one } = await import("./one-A.js");
const { two } = await import("./two-B.js");
const { heavy } = await import("./heavy-C.js");
console.log([base(), one(), two(), heavy()].join());
`,
  "chunk-BASE.js": `// src/base.ts
let calls = 0;
function base() {
  return \`base\${++calls}\`;
}

export {
  base
};
`,
  "one-A.js": `import {
  shared
} from "./chunk-S.js";
import {
  base
} from "./chunk-BASE.js";

// src/one.ts
var local = "one";
function one() {
  return local + shared() + base();
}
export {
  one
};
`,
  "two-B.js": `import {
  shared
} from "./chunk-S.js";
import "./chunk-BASE.js";

// src/two.ts
var local = "two";
var two = () => local + shared();
export {
  two
};
`,
  "chunk-S.js": `// src/shared.ts
var local = 0;
var hidden = () => \`:\${++local}\`;

export {
  hidden as shared
};
`,
  "heavy-C.js": `import {
  shared
} from "./chunk-S.js";

// src/heavy.ts
var heavy = () => "heavy" + shared();
export {
  heavy
};
`,
};

async function withBundle(
  files: Readonly<Record<string, string>>,
  body: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${dir}/${name}`, text);
    }
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const joints = [{ name: "both", entries: ["src/one.ts", "src/two.ts"] }];

Deno.test("joined files do what they did, with one state for each module", async () => {
  await withBundle(bundle, async (dir) => {
    await joinFiles(dir, joints);
    const names = (await Array.fromAsync(Deno.readDir(dir), ({ name }) => name)).toSorted();
    assert.deepEqual(names, ["both.js", "chunk-BASE.js", "heavy-C.js", "main.js"]);
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-config", "--allow-all", `${dir}/main.js`],
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "base1,one:1base2,two:2,heavy:3\n");
  });
});

Deno.test("what cannot be joined is refused, not left broken", async () => {
  const twice = { ...bundle, "two-B.js": bundle["two-B.js"]!.replaceAll("two", "one") }["two-B.js"];
  const cases: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
    ["a missing entry", { ...bundle, "one-A.js": "" }, /"src\/one\.ts" is in 0 files/],
    ["an entry twice", { ...bundle, "x.js": bundle["one-A.js"]! }, /is in 2 files/],
    ["a missing file", { ...bundle, "one-A.js": bundle["one-A.js"]!.replace("-S", "-T") }, /-T/],
    [
      "one name twice",
      { ...bundle, "two-B.js": twice.replace("src/one.ts", "src/two.ts") },
      /two export "one"/,
    ],
  ];
  for (const [what, files, reason] of cases) {
    await withBundle(files, async (dir) => {
      await assert.rejects(joinFiles(dir, joints), reason, what);
    });
  }
});
