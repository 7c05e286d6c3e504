import { findMirror } from "../../src/debian/find_mirror.ts";
import { findProgram } from "../../src/process/find_program.ts";
import { plainEnv, run } from "../../src/process/run.ts";
import { type FixtureEntry, tarOf } from "./layer_fixture.ts";
import { layoutOf, writeLayout } from "./layout_fixture.ts";

/** What an image of a test is made of. */
export interface GuestImage {
  readonly layers: readonly Uint8Array[];
  /** The `config` of its configuration, as Docker writes it. */
  readonly config: object;
}

/** Value of a variable in every image here: what no shell may look at. */
export const oddValue = "two\nlines, 'one' \"two\" $(id) `id` \\ ü €";

const env = (...more: string[]) => [`ODD=${oddValue}`, ...more];

/** busybox and a file of users; neither /tmp nor an init. */
export async function busyboxImage(config: object = {}): Promise<GuestImage> {
  const busybox = await Deno.readFile(await findProgram("busybox") ?? "/bin/busybox");
  const entries: FixtureEntry[] = [
    { name: "bin/" },
    { name: "bin/busybox", content: busybox, mode: 0o755 },
    ..."sh ash cat df env id ls pwd readlink stat test touch tty".split(" ").map((name) => (
      { name: `bin/${name}`, flag: "2", link: "busybox" }
    )),
    { name: "etc/" },
    { name: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\napp:x:7:8::/srv:/bin/false\n" },
    { name: "srv/", uid: 7, gid: 8 },
  ];
  return {
    layers: [tarOf(entries)],
    config: { Env: env("PATH=/bin"), ...config },
  };
}

/** One static program, `/env`, and nothing else: no directory, no shell, no file of users. */
export async function staticImage(): Promise<GuestImage> {
  const busybox = await Deno.readFile(await findProgram("busybox") ?? "/bin/busybox");
  return {
    layers: [tarOf([{ name: "env", content: busybox, mode: 0o755 }])],
    config: { Env: ["MADE=1"], Entrypoint: ["/env"], Cmd: ["FROM=cmd"] },
  };
}

const muslSource = `#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <pwd.h>
int main(int argc, char **argv) {
  char cwd[4096];
  struct passwd *user = getpwuid(getuid());
  printf("%s %s %s %d\\n", user ? user->pw_name : "?", getcwd(cwd, sizeof cwd), getenv("MADE"), argc);
  return argc > 1 ? atoi(argv[1]) : 0;
}
`;

/** A program that musl's own loader starts, and no glibc anywhere. `directory` gets work files. */
export async function muslImage(directory: string): Promise<GuestImage> {
  await Deno.writeTextFile(`${directory}/facts.c`, muslSource);
  await run("musl-gcc", ["-o", `${directory}/facts`, `${directory}/facts.c`]);
  const loader = await Deno.readFile("/lib/ld-musl-x86_64.so.1");
  const entries: FixtureEntry[] = [
    { name: "lib/ld-musl-x86_64.so.1", content: loader, mode: 0o755 },
    { name: "usr/bin/facts", content: await Deno.readFile(`${directory}/facts`), mode: 0o755 },
    { name: "etc/passwd", content: "root:x:0:0:root:/root:/bin/ash\n" },
    { name: "data/" },
  ];
  return {
    layers: [tarOf(entries)],
    config: { Env: ["MADE=with musl"], WorkingDir: "/data", Cmd: ["facts"] },
  };
}

/** Debian without an init, as Docker Hub has it. */
export async function debianTar(): Promise<Uint8Array> {
  const mirror = await findMirror({ suite: "bookworm" });
  const { stdout } = await run("mmdebstrap", [
    ...["--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io"],
    ...["man", "doc", "locale", "info"].map((dir) => `--dpkgopt=path-exclude=/usr/share/${dir}/*`),
    ...["--aptopt=Acquire::Languages none", "bookworm", "-", mirror],
  ], { timeoutMs: 180_000, maxStdoutBytes: 512 * 1024 ** 2 });
  return stdout;
}

/** The contents of packages of this Debian, unpacked and not set up; one tar each. */
export async function packageTars(names: readonly string[]): Promise<Uint8Array[]> {
  const work = await Deno.makeTempDir({ prefix: "banger-packages-" });
  try {
    await Deno.chmod(work, 0o777);
    await run("apt-get", ["-q", "download", ...names], { cwd: work, timeoutMs: 60_000 });
    const tars: Uint8Array[] = [];
    const files = (await Array.fromAsync(Deno.readDir(work), ({ name }) => name)).sort();
    for (const file of files) {
      const tar = await run("dpkg-deb", ["--fsys-tarfile", `${work}/${file}`], {
        timeoutMs: 60_000,
        maxStdoutBytes: 512 * 1024 ** 2,
      });
      tars.push(tar.stdout);
    }
    return tars;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** What systemd takes beside minbase. */
const systemdPackages = [
  ...["systemd", "systemd-sysv", "libsystemd-shared", "libargon2-1", "libapparmor1"],
  ...["libcryptsetup12", "libdevmapper1.02.1", "libfdisk1", "libip4tc2", "libjson-c5", "libkmod2"],
  "libssl3",
];

/** A layer that makes systemd the init of a {@linkcode debianTar}. `directory` gets work files. */
export async function systemdLayer(directory: string): Promise<Uint8Array> {
  const tree = `${directory}/systemd`;
  // A package's own /lib would replace the link of that name.
  for (const name of ["bin", "sbin", "lib"]) {
    await Deno.mkdir(`${tree}/usr/${name}`, { recursive: true });
    await Deno.symlink(`usr/${name}`, `${tree}/${name}`);
  }
  for (const tar of await packageTars(systemdPackages)) {
    await run("tar", ["-xf", "-", "--keep-directory-symlink", "-C", tree], { stdin: tar });
  }
  const options = ["--owner=0", "--group=0", "-C", tree, "usr", "etc", "var"];
  const { stdout } = await run("tar", ["-cf", "-", ...options], {
    maxStdoutBytes: 256 * 1024 ** 2,
    timeoutMs: 60_000,
  });
  return stdout;
}

/** Pushes an image into a registry as `NAME:1`, and answers its reference. `directory` gets work files. */
export async function pushImage(
  domain: string,
  name: string,
  image: GuestImage,
  directory: string,
): Promise<string> {
  const layout = `${directory}/layout-${name}`;
  await writeLayout(layout, layoutOf({ "1": image.layers }, image.config));
  const reference = `${domain}/guests/${name}:1`;
  await run("skopeo", [
    ...["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"],
    ...["--dest-compress-format=gzip", "--dest-compress-level=1"],
    ...[`oci:${layout}:1`, `docker://${reference}`],
  ], { env: { ...plainEnv, HOME: directory }, timeoutMs: 120_000 });
  await Deno.remove(layout, { recursive: true });
  return reference;
}
