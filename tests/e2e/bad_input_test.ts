/** What a user may get wrong, through the built program; no VM is booted. */
import assert from "node:assert/strict";
import { type Banger, isBuilt, withBanger } from "../support/banger.ts";
import { until } from "../support/end_to_end.ts";
import { skipUnless } from "../support/require.ts";

function test(name: string, body: (banger: Banger) => Promise<void>): void {
  const ignore = skipUnless(name, isBuilt(), "build/bin/banger is not built");
  Deno.test({ name, ignore, fn: () => withBanger(body) });
}

/** Runs it and checks exit code and stderr. */
async function refused(
  banger: Banger,
  args: readonly string[],
  code: number,
  stderr: RegExp,
): Promise<void> {
  const result = await banger.run(args);
  assert.match(result.stderr, stderr, `banger ${args.join(" ")}`);
  // Where another part of it would have come from may have been told before.
  assert.match(result.stderr, /^(note: .*\n)*Error: Cannot /);
  assert.equal(result.code, code, `banger ${args.join(" ")}: ${result.stderr}`);
  assert.equal(result.stdout, "");
}

test("outside of a repository nothing is started, and the hint says what works", async (banger) => {
  await refused(
    banger,
    ["vm", "run", banger.home],
    125,
    /it is not in a git repository\n {2}hint: banger vm run --no-workspace/,
  );
  await refused(banger, ["vm", "run", "/no/such/dir"], 125, /there is no such directory/);
  assert.equal((await banger.run(["daemon", "status"])).code, 1);
});

test("names that are none are refused, with the rule", async (banger) => {
  const names: readonly (readonly [string, RegExp])[] = [
    ["", /VM name "": it is empty/],
    ["x".repeat(300), /it has 300 characters, at most 63 are allowed/],
    ["../x", /characters that are not allowed/],
    ["-rf", /it starts with a hyphen/],
    ["UPPER", /characters that are not allowed/],
    ["a\nb", /characters that are not allowed/],
  ];
  for (const [name, words] of names) {
    await refused(banger, ["vm", "create", "--name", name], 2, words);
    await refused(
      banger,
      ["vm", "run", "--no-workspace", "--name", name, "--", "true"],
      125,
      words,
    );
  }
  await refused(banger, ["vm", "show", "../x"], 2, /no VM has such a name/);
  await refused(banger, ["image", "pull", "../x"], 2, /Cannot use image reference "\.\.\/x"/);
});

test("unknown commands and options come with a suggestion", async (banger) => {
  await refused(banger, ["vm", "rnu"], 2, /hint: Did you mean banger vm run\?/);
  await refused(banger, ["imgae", "list"], 2, /hint: Did you mean banger image\?/);
  await refused(banger, ["list"], 2, /hint: Did you mean banger vm list\?/);
  await refused(banger, ["vm", "list", "--jsno"], 2, /hint: Did you mean --json\?/);
  await refused(banger, ["vm", "run", "--mem", "1G"], 125, /hint: Did you mean --memory\?/);
  await refused(banger, ["vm", "run", "make", "test"], 125, /hint: Put CMD… behind --/);
});

test("sizes out of bounds are refused with the bound", async (banger) => {
  await refused(banger, ["vm", "create", "--cpus", "0"], 2, /a whole number from 1 to 64/);
  await refused(banger, ["vm", "create", "--cpus", "10000"], 2, /a whole number from 1 to 64/);
  await refused(banger, ["vm", "create", "--cpus", "two"], 2, /a whole number from 1 to 64/);
  await refused(banger, ["vm", "create", "--memory", "1M"], 2, /at least 256 MiB are needed/);
  await refused(banger, ["vm", "create", "--memory", "lots"], 2, /not a size/);
  await refused(banger, ["vm", "create", "--disk", "1M"], 2, /at least 64 MiB are needed/);
});

test("unknown VMs, images and kernels are not found, with a suggestion where one is near", async (banger) => {
  await refused(banger, ["vm", "show", "nope"], 3, /"nope"/);
  await refused(banger, ["vm", "exec", "nope", "--", "true"], 125, /"nope"/);
  await refused(banger, ["image", "show", "nope"], 3, /"nope"/);
  await refused(banger, ["image", "pull", "debian-bookwrom"], 3, /debian-bookworm/);
  await refused(banger, ["kernel", "pull", "debian-6.1-clod"], 3, /debian-6\.1-cloud/);
  const run = ["vm", "run", "--no-workspace", "--rm"];
  await refused(
    banger,
    [...run, "--image", "debian-bookwrom", "--", "true"],
    125,
    /debian-bookwrom/,
  );
  await refused(banger, [...run, "--kernel", "nope", "--", "true"], 125, /"nope"/);
  assert.equal(await banger.ok(["vm", "list", "--json"]), '{\n  "vms": []\n}\n');
});

test("a broken configuration is refused with file, line and column", async (banger) => {
  const path = (await banger.ok(["config", "path"])).trim();
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await Deno.writeTextFile(path, '# mine\ndefault_image_nmae = "x"\n');
  const place = /config\.toml:2:1": there is no key "default_image_nmae"/;
  await refused(banger, ["config", "show"], 2, place);
  await refused(banger, ["vm", "run", "--no-workspace", "--", "true"], 125, place);
  await Deno.writeTextFile(path, "[vm_defaults]\ncpus = [\n");
  await refused(banger, ["config", "show"], 2, /config\.toml:\d+:\d+": it is not TOML/);
  const doctor = await banger.run(["doctor", "--json"]);
  assert.equal(doctor.code, 5);
  const { checks, ready } = JSON.parse(doctor.stdout) as {
    checks: { id: string; status: string }[];
    ready: boolean;
  };
  assert.equal(ready, false);
  assert.equal(checks.find(({ id }) => id === "config")?.status, "fail");
});

test("a missing QEMU fails the doctor with the package that brings it", async (banger) => {
  const path = (await banger.ok(["config", "path"])).trim();
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await Deno.writeTextFile(path, 'qemu_bin = "/no/such/qemu"\n');
  const { code, stdout } = await banger.run(["doctor"]);
  assert.equal(code, 5);
  assert.match(
    stdout,
    /FAIL qemu +\/no\/such\/qemu is not installed\n.*running VMs\n.*fix: apt install .*qemu-system/,
  );
});

test("a state directory that cannot be written is a precondition, not a crash", async (banger) => {
  const env = { XDG_STATE_HOME: "/proc/banger" };
  const { code, stderr } = await banger.run(["vm", "list"], { env });
  assert.equal(code, 5, stderr);
  assert.match(stderr, /^Error: Cannot .*\/proc\/banger/);
  const doctor = await banger.run(["doctor"], { env });
  assert.equal(doctor.code, 5);
  assert.match(doctor.stdout, /FAIL state-dir/);
});

test("a home directory of 200 characters works without XDG_RUNTIME_DIR", async (banger) => {
  const home = `${banger.home}/${"h".repeat(200 - banger.home.length - 1)}`;
  await Deno.mkdir(home);
  const env = { HOME: home };
  const { code, stderr } = await banger.run(["vm", "list", "--json"], { env });
  assert.equal(code, 0, stderr);
  const { daemon } = JSON.parse((await banger.run(["daemon", "status", "--json"], { env })).stdout);
  assert.ok(daemon.socketPath.length <= 107);
  assert.equal((await banger.run(["daemon", "stop"], { env })).code, 0);
});

test("a reader that goes away ends banger quietly", async (banger) => {
  const { stdout, stderr } = await banger.script(
    'banger vm run --help | true; echo "${PIPESTATUS[0]}"; banger --help >/dev/full; echo $?',
  );
  assert.match(stdout, /^(0|141)\n[1-9]\d*\n$/);
  assert.ok(!stderr.includes("    at "), stderr);
});

test("NO_COLOR, pipes and --quiet: no escape sequences, no chatter", async (banger) => {
  for (const args of [["vm", "list"], ["--help"], ["doctor"], ["vm", "show", "nope"]]) {
    const { stdout, stderr } = await banger.run(args);
    assert.ok(!(stdout + stderr).includes("\x1b"), args.join(" "));
  }
  assert.equal((await banger.run(["vm", "list", "--quiet"])).stderr, "");
});

test("ten at once start one daemon", async (banger) => {
  const all = await Promise.all(
    Array.from({ length: 10 }, () => banger.run(["daemon", "status", "--json"])),
  );
  assert.ok(all.every(({ code }) => code === 1), "status starts none");
  const lists = await Promise.all(
    Array.from({ length: 10 }, () => banger.run(["vm", "list", "--json"])),
  );
  assert.deepEqual(
    lists.map(({ code }) => code),
    Array(10).fill(0),
    lists.map((l) => l.stderr).join(),
  );
  const daemons = async () =>
    (await banger.processes()).filter((line) => line.includes("daemon run")).length;
  // Those that came second end as soon as they see that they did.
  await until("one daemon is left", async () => await daemons() === 1, 10_000);
  assert.equal(await daemons(), 1);
});
