import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { compiled } from "../../scripts/build/compiled.ts";
import { root } from "./built_program.ts";

interface Metadata {
  readonly permissions: Readonly<Record<string, unknown>>;
  readonly entrypoint_key: string;
  readonly unstable_config: {
    readonly features: readonly string[];
    readonly lazy_dynamic_imports: boolean;
  };
  readonly app_name: string;
}

/** Reads the metadata that `deno compile` appends: its length in eight bytes, then JSON. */
function metadataOf(bytes: Uint8Array): Metadata {
  const at = Buffer.from(bytes.buffer).lastIndexOf('{"argv":[]');
  assert.ok(at > 8, "there is a trailer");
  const length = Number(new DataView(bytes.buffer, at - 8, 8).getBigUint64(0, true));
  return JSON.parse(new TextDecoder().decode(bytes.subarray(at, at + length))) as Metadata;
}

Deno.test("the compile step embeds the whole graph, the agent and the flags", async () => {
  const dir = await Deno.makeTempDir({ prefix: "banger-compile-" });
  try {
    const bundleDir = `${root}/build/bundle/banger`;
    // The plain Deno binary as the base makes a file that does not start, but it can be examined.
    await compiled({ out: `${dir}/banger`, bundleDir, denortBin: Deno.execPath() });
    const bytes = await Deno.readFile(`${dir}/banger`);
    const metadata = metadataOf(bytes);
    assert.equal(metadata.entrypoint_key, "main.js");
    assert.equal(metadata.app_name, "banger");
    assert.deepEqual([...metadata.unstable_config.features].sort(), [
      "lazy-dynamic-imports",
      "worker-options",
    ]);
    assert.equal(metadata.unstable_config.lazy_dynamic_imports, true);
    const { permissions } = metadata;
    for (const kind of ["env", "net", "ffi", "read", "run", "sys", "write"]) {
      assert.deepEqual(permissions[`allow_${kind}`], [], `all of ${kind} is allowed`);
      assert.equal(permissions[`deny_${kind}`], null);
    }
    assert.equal(permissions["prompt"], false);
    const text = Buffer.from(bytes.buffer);
    for await (const { name } of Deno.readDir(bundleDir)) {
      assert.ok(text.lastIndexOf(`{"n":"${name}"`) > 0, `${name} is embedded`);
      const content = await Deno.readFile(`${bundleDir}/${name}`);
      assert.ok(text.lastIndexOf(content.subarray(0, 64)) > 0, `the content of ${name} is there`);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
