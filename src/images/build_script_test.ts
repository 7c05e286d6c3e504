import assert from "node:assert/strict";
import { isBangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";
import { buildScript } from "./build_script.ts";
import { debianBookworm } from "./debian_bookworm.ts";

Deno.test("the script of the default image is a valid shell program", async () => {
  const script = buildScript(debianBookworm);
  await run("/bin/sh", ["-n", "-c", script], { timeoutMs: 5000 });
});

Deno.test("the default image holds what its users were promised", () => {
  const promised = ["git", "make", "build-essential", "curl", "ca-certificates", "tmux", "sudo"];
  assert.deepEqual(promised.filter((name) => !debianBookworm.packages.includes(name)), []);
  assert.ok(!debianBookworm.packages.some((name) => name.startsWith("openssh-server")));
  const names = [...debianBookworm.packages, ...debianBookworm.maskedUnits];
  assert.deepEqual(names.filter((name) => !/^[A-Za-z0-9][A-Za-z0-9.@_-]*$/.test(name)), []);
  assert.equal(new Set(names).size, names.length);
});

Deno.test("files go in as they are, whatever a shell would make of them", async () => {
  const text = "$(id) `id` ${HOME} \\\\ 'x' \"y\"\n\n  end\n";
  const script = buildScript({ ...debianBookworm, files: [{ path: "/etc/x", mode: 0o755, text }] });
  const part = /^put\(\) \{[^]*?^\}$/m.exec(script)?.[0];
  const call = /^put \/etc\/x [^]*?^BANGER_EOF$/m.exec(script)?.[0];
  const root = await Deno.makeTempDir();
  try {
    await run("/bin/sh", ["-euc", `root=${root}\n${part}\n${call}\n`], { timeoutMs: 5000 });
    assert.equal(await Deno.readTextFile(`${root}/etc/x`), text);
    assert.equal((await Deno.stat(`${root}/etc/x`)).mode! & 0o777, 0o755);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("a recipe whose texts or paths would leave their place is refused", () => {
  const file = { path: "/etc/x", mode: 0o644, text: "x\n" } as const;
  const bad = [
    { ...file, text: "a\nBANGER_EOF\nid\n" },
    { ...file, text: "no newline" },
    { ...file, path: "/etc/../x" },
    { ...file, path: "/etc/$(id)" },
    { ...file, path: "etc/x" },
  ];
  for (const each of bad) {
    const build = () => buildScript({ ...debianBookworm, files: [each] });
    assert.throws(build, (error) => isBangerError(error, "internal"), JSON.stringify(each));
  }
});
