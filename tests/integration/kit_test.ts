import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { debEntries } from "../../src/debian/deb_archive.ts";
import { elfNeeds, isElf } from "../../src/guest/elf.ts";
import { buildKit, kitInputsKey } from "../../src/guest/kit_builder.ts";
import { kitLibraryPackages, type KitPackages, kitPrograms } from "../../src/guest/kit_packages.ts";

/** All packages of the kit, as apt fetches and verifies them. */
async function aptPackages(directory: string): Promise<KitPackages> {
  const names = [...kitPrograms.map((program) => program.package), ...kitLibraryPackages];
  const { success, stderr } = await new Deno.Command("apt-get", {
    args: ["download", ...names],
    cwd: directory,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const files = await Array.fromAsync(Deno.readDir(directory));
  return {
    fetch(name) {
      const file = files.find((entry) => entry.name.startsWith(`${name}_`));
      assert.ok(file !== undefined, `apt-get left no ${name}`);
      return Promise.resolve(`${directory}/${file.name}`);
    },
    entries: (path, signal) => debEntries(path, { signal }),
  };
}

async function output(program: string, args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(program, { args, stderr: "null" }).output();
  return new TextDecoder().decode(stdout);
}

/** The image's files, taken out again into `tree`. */
async function unpack(image: string, tree: string): Promise<Map<string, Uint8Array>> {
  await Deno.mkdir(tree);
  await output("debugfs", ["-R", `rdump / ${tree}`, image]);
  const files = new Map<string, Uint8Array>();
  for (const directory of ["bin", "sbin", "lib", "etc"]) {
    for await (const entry of Deno.readDir(`${tree}/${directory}`)) {
      const path = `${directory}/${entry.name}`;
      if (entry.isFile) files.set(path, await Deno.readFile(`${tree}/${path}`));
    }
  }
  return files;
}

Deno.test("the kit holds what it needs and looks for nothing outside /.banger", async () => {
  const work = await Deno.makeTempDir();
  try {
    for (const directory of ["debs", "one", "two"]) await Deno.mkdir(`${work}/${directory}`);
    await Deno.writeTextFile(`${work}/agent.js`, "Deno.exit(0);\n");
    const options = {
      denoBinary: Deno.execPath(),
      agentBundle: `${work}/agent.js`,
      packages: await aptPackages(`${work}/debs`),
      signal: new AbortController().signal,
    };
    const kit = await buildKit({ ...options, outputDir: `${work}/one` });
    assert.equal(kit.path, `${work}/one/kit-${kit.digest}.ext4`);
    assert.match(kit.digest, /^[0-9a-f]{12}$/);

    const files = await unpack(kit.path, `${work}/tree`);
    for (const path of ["bin/deno", "bin/busybox", "bin/setpriv", "bin/agent.js", "sbin/sshd"]) {
      assert.ok(files.has(path), path);
    }
    for (const path of ["sbin/kit-init", "sbin/session", "sbin/resize2fs", "etc/sshd_config"]) {
      assert.ok(files.has(path), path);
    }
    for (const [path, bytes] of files) {
      if (!isElf(bytes)) continue;
      const { interpreter, needed, searchPath } = elfNeeds(bytes, path);
      for (const name of needed) assert.ok(files.has(`lib/${name}`), `${path} needs ${name}`);
      if (path.startsWith("lib/")) {
        assert.ok(searchPath === null || searchPath === "/.banger/lib", `${path}: ${searchPath}`);
      } else if (interpreter !== null) {
        assert.match(interpreter, /^\/\.banger\/lib\/ld-linux/);
        assert.ok(files.has(interpreter.slice("/.banger/".length)));
        assert.equal(searchPath, "/.banger/lib");
      }
    }
    assert.match(await output("debugfs", ["-R", "stat /sbin/sshd", kit.path]), /User:\s+0\s/);
    const check = await new Deno.Command("e2fsck", { args: ["-fn", kit.path] }).output();
    assert.equal(check.code, 0, new TextDecoder().decode(check.stdout));

    const again = await buildKit({ ...options, outputDir: `${work}/two` });
    assert.equal(again.digest, kit.digest);
    const [first, second] = [await Deno.readFile(kit.path), await Deno.readFile(again.path)];
    assert.equal(Buffer.compare(first, second), 0, "the same inputs give the same image");
    const left = await Array.fromAsync(Deno.readDir(`${work}/one`));
    assert.equal(left.length, 1, "no work files are left");

    const key = await kitInputsKey(options);
    await Deno.writeTextFile(`${work}/agent.js`, "Deno.exit(1);\n");
    assert.notEqual(await kitInputsKey(options), key);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
});
