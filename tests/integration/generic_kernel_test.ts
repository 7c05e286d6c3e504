/**
 * `scripts/make-generic-kernel.sh` up to the point where it trusts the sources: its arguments, and
 * which signatures it accepts. The build itself takes minutes and is run by hand.
 */
import assert from "node:assert/strict";
import { findProgram } from "../../src/process/find_program.ts";
import { run } from "../../src/process/run.ts";
import { tarFixture } from "../support/deb_fixture.ts";
import { GpgHome } from "../support/gpg_home.ts";
import { skipUnless } from "../support/require.ts";

const root = new URL("../..", import.meta.url).pathname;
const able = await GpgHome.isPossible();

interface Sources extends AsyncDisposable {
  readonly dir: string;
  readonly gpg: GpgHome;
  readonly ours: string;
  readonly other: string;
  readonly tarball: string;
  readonly signature: string;
  readonly keyring: string;
}

/** Tiny sources that one key has signed. */
async function sources(): Promise<Sources> {
  await using undo = new AsyncDisposableStack();
  const dir = await Deno.makeTempDir({ prefix: "banger-sources-" });
  undo.defer(() => Deno.remove(dir, { recursive: true }));
  const gpg = undo.use(await GpgHome.make());
  const ours = await gpg.makeKey("ours");
  const other = await gpg.makeKey("other");
  const content = new TextEncoder().encode("VERSION = 6\n");
  const plain = tarFixture([
    { name: "linux-6.9.1/", type: "5" },
    { name: "linux-6.9.1/Makefile", content },
  ]);
  await Deno.writeFile(`${dir}/linux-6.9.1.tar`, plain);
  const tarball = `${dir}/linux-6.9.1.tar.xz`;
  await Deno.writeFile(tarball, (await run("xz", ["-c"], { stdin: plain })).stdout);
  const signature = `${dir}/linux-6.9.1.tar.sign`;
  await Deno.writeFile(signature, await gpg.sign(`${dir}/linux-6.9.1.tar`, ours));
  const keyring = `${dir}/keys.gpg`;
  await Deno.writeFile(keyring, await gpg.exportKeys(ours, other));
  const moved = undo.move();
  return {
    ...{ dir, gpg, ours, other, tarball, signature, keyring },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

async function make(at: Sources, args: readonly string[]) {
  const work = `${at.dir}/work`;
  await Deno.mkdir(work, { recursive: true });
  const { code, stdout, stderr } = await run(`${root}scripts/make-generic-kernel.sh`, args, {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: at.dir, TMPDIR: work },
    timeoutMs: 120_000,
    okCodes: [0, 1, 2],
  });
  assert.deepEqual(await Array.fromAsync(Deno.readDir(work)), [], "it left something behind");
  return { code, out: new TextDecoder().decode(stdout), err: stderr };
}

function verifyArgs(at: Sources, ...more: readonly string[]): string[] {
  return [
    ...["--version", "6.9.1", "--keyring", at.keyring, "--tarball", at.tarball],
    ...["--only", "verify", ...more],
  ];
}

async function refused(at: Sources, args: readonly string[], words: RegExp): Promise<void> {
  const { code, err } = await make(at, args);
  assert.deepEqual([code, words.test(err)], [1, true], `${words}: ${err}`);
}

function sourcesTest(name: string, fn: (at: Sources) => Promise<void>): void {
  Deno.test({
    name,
    ignore: skipUnless(name, able, "gpg or gpg-agent is not installed"),
    async fn() {
      await using at = await sources();
      await fn(at);
    },
  });
}

sourcesTest("sources signed by one pinned key are accepted, packed or not", async (at) => {
  for (const tarball of [at.tarball, `${at.dir}/linux-6.9.1.tar`]) {
    const args = verifyArgs(at, "--fingerprint", at.ours, "--tarball", tarball);
    const { code, err } = await make(at, args);
    assert.equal(code, 0, err);
    assert.match(err, new RegExp(`signed by ${at.ours}`));
  }
});

sourcesTest("any other signature is refused", async (at) => {
  const plain = `${at.dir}/linux-6.9.1.tar`;
  const good = await Deno.readFile(at.signature);
  const ours = verifyArgs(at, "--fingerprint", at.ours);
  await refused(at, verifyArgs(at), /signed by [0-9A-F]{40}, which is not pinned/);
  await refused(at, verifyArgs(at, "--fingerprint", at.other), /which is not pinned/);

  const sign = async (bytes: Uint8Array) => await Deno.writeFile(at.signature, bytes);
  await sign(await at.gpg.sign(plain, at.other));
  await refused(at, ours, /which is not pinned/);
  await sign(await at.gpg.sign(plain, at.ours, at.other));
  await refused(at, ours, /have 2 signatures, exactly one/);
  // gpg reads the first block and says nothing of what stands behind it.
  await sign(new Uint8Array([...good, ...good]));
  await refused(at, ours, /not one armoured signature and nothing else/);
  await sign(new Uint8Array([...good, ...await at.gpg.sign(plain, at.other)]));
  await refused(at, ours, /not one armoured signature and nothing else/);
  await sign(new Uint8Array([...new TextEncoder().encode("Hello\n"), ...good]));
  await refused(at, ours, /not one armoured signature and nothing else/);
  await sign(await at.gpg.sign(at.tarball, at.ours));
  await refused(at, ours, /is not good/);
  await sign(new Uint8Array(0));
  await refused(at, ours, /not one armoured signature/);
  await sign(new Uint8Array(70_000));
  await refused(at, ours, /too large for a signature/);
  // A whole signed message is not a signature over the sources.
  const inline = ["--local-user", at.ours, "--armor", "--output", "-", "--sign", at.keyring];
  await sign(await at.gpg.gpg(inline));
  await refused(at, ours, /not one armoured signature/);
});

sourcesTest("sources that were changed, and keys that are not there, are refused", async (at) => {
  const ours = verifyArgs(at, "--fingerprint", at.ours);
  await Deno.writeFile(at.keyring, await at.gpg.exportKeys(at.other));
  await refused(at, ours, /is not good/);
  await Deno.writeTextFile(at.keyring, "no keys");
  await refused(at, ours, /cannot read the keyring/);
  await Deno.writeFile(at.keyring, await at.gpg.exportKeys(at.ours));
  const plain = await Deno.readFile(`${at.dir}/linux-6.9.1.tar`);
  plain[600]! ^= 1;
  await Deno.writeFile(at.tarball, (await run("xz", ["-c"], { stdin: plain })).stdout);
  await refused(at, ours, /is not good/);
  await Deno.writeFile(at.tarball, (await Deno.readFile(at.tarball)).subarray(0, 80));
  await refused(at, ours, /cannot unpack/);
});

sourcesTest("signed sources of another version are not built", async (at) => {
  const args = verifyArgs(
    at,
    "--fingerprint",
    at.ours,
    "--version",
    "6.9.2",
    "--only",
    "configure",
  );
  const end = await make(at, [...args, "--signature", at.signature, "--out", `${at.dir}/out`]);
  assert.equal(end.code, 1);
  // Without the programs of a build it ends before that.
  assert.match(end.err, /the sources are of "linux-6.9.1\/", not of linux-6.9.2|are missing/);
});

sourcesTest("wrong arguments are told", async (at) => {
  const good = verifyArgs(at, "--fingerprint", at.ours);
  const without = (option: string) => good.toSpliced(good.indexOf(option), 2);
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [without("--version"), /--version is missing/],
    [without("--keyring"), /--keyring is missing/],
    [without("--only"), /--out is missing/],
    [[...good, "--version", "6"], /--version must be like/],
    [[...good, "--version", "6.9.1; id"], /--version must be like/],
    [[...good, "--keyring", "/nonexistent"], /--keyring: there is no file/],
    [[...good, "--tarball", "/nonexistent"], /--tarball: there is no file/],
    [[...good, "--arch", "riscv64"], /--arch must be/],
    [[...good, "--jobs", "many"], /--jobs must be/],
    [[...good, "--out", "x", "--only", "everything"], /--only must be/],
    [[...good, "--mirror", "http://plain.test/"], /--mirror must be an https/],
    [[...good, "--fingerprint", at.ours.slice(-16)], /--fingerprint must be a whole/],
    [[...good, "--no-verify", "x"], /there is no option "--no-verify"/],
    [[...good, "--out"], /--out needs a value/],
    [[...without("--tarball"), "--signature", at.signature], /--signature needs --tarball/],
  ];
  for (const [args, words] of cases) {
    const { code, err } = await make(at, args);
    assert.deepEqual([code, words.test(err)], [2, true], `${words}: ${err}`);
  }
  await Deno.remove(at.signature);
  const { code, err } = await make(at, good);
  assert.deepEqual([code, /--signature: there is no file/.test(err)], [2, true], err);
  const help = await make(at, ["--help"]);
  assert.deepEqual([help.code, /^usage: /.test(help.out)], [0, true]);
});

const buildPrograms = ["make", "gcc", "flex", "bison", "bc", "objcopy"];
const canBuild = (await Promise.all(buildPrograms.map((each) => findProgram(each)))).every(Boolean);

/** Stands for the kernel's: takes the options but those that match `drops`, and tells what it got. */
function makefileFixture(drops: string): string {
  return `allnoconfig:
\tgrep -v '${drops}' "$(KCONFIG_ALLCONFIG)" >.config
vmlinux:
\tmkdir -p include/config
\techo 6.9.1-banger >include/config/kernel.release
\techo "# $(ARCH) $(KBUILD_BUILD_TIMESTAMP) $(KBUILD_BUILD_USER)@$(KBUILD_BUILD_HOST)" >>.config
\techo "# $$SOURCE_DATE_EPOCH $$TZ $$LC_ALL $$SECRET" >>.config
\tcp /bin/true vmlinux
`;
}

async function buildArgs(at: Sources, drops: string): Promise<string[]> {
  await Deno.mkdir(`${at.dir}/linux-6.9.1/arch/x86`, { recursive: true });
  const options = ["RETPOLINE", "CPU_SRSO", "MITIGATION_RETHUNK", "MITIGATION_TSA"];
  await Deno.writeTextFile(
    `${at.dir}/linux-6.9.1/arch/x86/Kconfig`,
    options.map((option) => `config ${option}\n\tbool\n`).join(""),
  );
  await Deno.writeTextFile(`${at.dir}/linux-6.9.1/Makefile`, makefileFixture(drops));
  const tarball = `${at.dir}/linux-6.9.1.tar`;
  await run("tar", ["-C", at.dir, "--mtime=@1767225600", "-cf", tarball, "linux-6.9.1/"]);
  await Deno.writeFile(at.signature, await at.gpg.sign(tarball, at.ours));
  return [
    ...["--version", "6.9.1", "--keyring", at.keyring, "--tarball", tarball, "--arch", "x86_64"],
    ...["--fingerprint", at.ours, "--out", `${at.dir}/out`],
  ];
}

const whole = "the build is of the whole configuration, with everything fixed that could vary";
Deno.test({
  name: whole,
  ignore: skipUnless(
    whole,
    able && canBuild && Deno.build.arch === "x86_64",
    `one of ${buildPrograms.join(", ")} or gpg is not installed, or this is not x86_64`,
  ),
  async fn() {
    await using at = await sources();
    const end = await make(at, await buildArgs(at, "^$$"));
    assert.equal(end.code, 0, end.err);
    assert.match(end.out, /^[0-9a-f]{64} {2}vmlinux-6\.9\.1-banger-x86_64$/m);
    const config = await Deno.readTextFile(`${at.dir}/out/config-6.9.1-banger-x86_64`);
    const wanted = await Deno.readTextFile(`${root}images/kernel/generic.config`);
    assert.ok(wanted.split("\n").every((line) => line === "" || config.includes(`${line}\n`)));
    // By the names that these sources have; what they cannot have is told.
    for (const option of ["RETPOLINE", "CPU_SRSO", "MITIGATION_RETHUNK", "MITIGATION_TSA"]) {
      assert.match(config, new RegExp(`^CONFIG_${option}=y$`, "m"));
    }
    assert.doesNotMatch(config, /MITIGATION_(RETPOLINE|SRSO|ITS)=/);
    assert.match(end.err, /Linux 6\.9\.1 has no MITIGATION_ITS\n/);
    assert.match(config, /^# x86_64 2026-01-01T00:00:00Z banger@banger$/m);
    assert.match(config, /^# 1767225600 UTC C $/m);
    const elf = await Deno.readFile(`${at.dir}/out/vmlinux-6.9.1-banger-x86_64`);
    assert.deepEqual([...elf.subarray(0, 4)], [0x7f, 0x45, 0x4c, 0x46]);

    const lost = await make(at, await buildArgs(at, "CONFIG_WIREGUARD="));
    assert.equal(lost.code, 1);
    assert.match(
      lost.err,
      /does not take these options of images\/kernel:\n {2}CONFIG_WIREGUARD=y\n/,
    );
  },
});
