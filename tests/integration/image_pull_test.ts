import assert from "node:assert/strict";
import { findMirror } from "../../src/debian/find_mirror.ts";
import { buildDebianImage, type BuildOptions } from "../../src/images/debian_image.ts";
import { makeStaging, removeStaging } from "../../src/images/staging.ts";
import { isBangerError } from "../../src/model/errors.ts";
import { run } from "../../src/process/run.ts";
import { ImageService } from "../../src/services/image/image_service.ts";
import { imageServiceDeps, recordingReporter } from "../support/image_service_fixture.ts";
import { skipUnless } from "../support/require.ts";
import { smallRecipe } from "../support/small_recipe.ts";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
const mirror = await findMirror({ suite: "bookworm" }).catch(() => undefined);
const isRoot = Deno.uid() === 0;
const never = new AbortController().signal;
const imageName = "debian-bookworm";

function imageTest(name: string, needsRoot: boolean, fn: () => Promise<void>): void {
  const able = mirror !== undefined && (isRoot || !needsRoot);
  const reason = mirror === undefined ? "apt has no Debian mirror" : "it needs root";
  Deno.test({ name, ignore: skipUnless(name, able, reason), fn });
}

function optionsFor(stagingDir: string): BuildOptions {
  return {
    ...{ recipe: smallRecipe, mirror: mirror!, keyring, stagingDir, proxyEnv: {} },
    ...{ uid: Deno.uid()!, uuid: crypto.randomUUID(), reporter: recordingReporter() },
    signal: never,
  };
}

async function scratch(prefix = "banger-image-test-") {
  const path = await Deno.makeTempDir({ prefix });
  return { path, [Symbol.asyncDispose]: () => removeStaging(path, Deno.uid()!) };
}

async function namesIn(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir))).map((entry) => entry.name).sort();
}

/** Command lines of the processes that mention `word`. */
async function processesWith(word: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    const cwd = await Deno.readLink(`/proc/${name}/cwd`).catch(() => "");
    if (line.includes(word) || cwd.includes(word)) {
      found.push(line.replaceAll("\0", " ").slice(0, 80));
    }
  }
  return found;
}

async function noneLeft(word: string): Promise<void> {
  for (let tries = 0; (await processesWith(word)).length > 0; tries++) {
    assert.ok(tries < 100, `still there: ${await processesWith(word)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function debugfs(rootfs: string, command: string): Promise<string> {
  const { stdout } = await run("debugfs", ["-R", command, rootfs], { timeoutMs: 30_000 });
  return new TextDecoder().decode(stdout);
}

/** What must hold for every image, whoever built it. */
async function checkRootfs(rootfs: string): Promise<void> {
  await run("e2fsck", ["-fn", rootfs], { timeoutMs: 60_000 });
  assert.match(await debugfs(rootfs, "stat /usr/bin/sudo"), /Mode: +04755 [^]*User: +0 +Group: +0/);
  // Revision 2, so bound to no user namespace: cap_net_raw=ep.
  const capability = await debugfs(rootfs, "ea_list /usr/bin/ping");
  assert.match(capability, /security\.capability \(20\) = 01 00 00 02 00 20 00 00/);
  assert.match(await debugfs(rootfs, "stat /etc/shadow"), /Mode: +0640 [^]*User: +0 +Group: +42/);
  assert.match(await debugfs(rootfs, "stat /tmp"), /Mode: +01777/);
  assert.equal(await debugfs(rootfs, "cat /etc/machine-id"), "");
  for (const absent of ["/etc/resolv.conf", "/etc/hostname", "/dev/null", "/run/lock"]) {
    assert.equal(await debugfs(rootfs, `stat ${absent}`), "", absent);
  }
  const sources = `deb ${mirror} bookworm main\ndeb ${mirror} bookworm-updates main\n`;
  assert.equal(await debugfs(rootfs, "cat /etc/apt/sources.list"), sources);
  assert.match(await debugfs(rootfs, "stat /etc/systemd/system/getty.target"), /"\/dev\/null"/);
  const { size, blocks } = await Deno.stat(rootfs);
  assert.equal(size, smallRecipe.virtualBytes);
  assert.ok(blocks! * 512 < 400 * 1024 ** 2, `it takes ${blocks! * 512} bytes`);
}

imageTest("two pulls at once share one real build, and its image is sound", false, async () => {
  await using base = await imageServiceDeps();
  let builds = 0;
  const service = new ImageService({
    ...base,
    mirror: () => Promise.resolve(mirror!),
    keyring,
    buildImage: (options) => {
      builds++;
      return buildDebianImage({ ...options, recipe: smallRecipe });
    },
  });
  const reporters = [recordingReporter(), recordingReporter()];
  const [first, second] = await Promise.all(
    reporters.map((reporter) => service.pullImage(imageName, { refresh: false }, reporter, never)),
  );
  assert.equal(first, second);
  assert.equal(builds, 1);
  const stages = ["image.bootstrap", "image.write"].flatMap((
    id,
  ) => [`started ${id}`, `finished ${id}`]);
  for (const { events } of reporters) {
    assert.deepEqual(events.filter((event) => / image\.[a-z]+$/.test(event)), stages);
    const notices = events.filter((event) => event.includes("building from Debian packages"));
    assert.equal(notices.length, 1, events.join("\n"));
  }
  await checkRootfs(first!.rootfsPath);
  assert.deepEqual(await namesIn(base.paths.stagingDir), []);
});

imageTest("a pull that is cancelled midway leaves no file, process or mount", false, async () => {
  await using base = await imageServiceDeps();
  const mounts = await Deno.readTextFile("/proc/self/mountinfo");
  const stop = new AbortController();
  const service = new ImageService({
    ...base,
    mirror: () => Promise.resolve(mirror!),
    keyring,
    buildImage: (options) => buildDebianImage({ ...options, recipe: smallRecipe }),
  });
  const reporter = recordingReporter();
  const pull = service.pullImage(imageName, { refresh: false }, {
    ...reporter,
    stage: (stage, body) => {
      setTimeout(() => stop.abort(), 4000);
      return reporter.stage(stage, body);
    },
  }, stop.signal);
  await assert.rejects(pull, (error) => error === stop.signal.reason);
  assert.deepEqual(await processesWith(base.root), []);
  assert.deepEqual(await namesIn(base.paths.stagingDir), []);
  assert.deepEqual(await namesIn(base.paths.imagesDir), []);
  assert.deepEqual(base.images.list(), []);
  assert.equal(await Deno.readTextFile("/proc/self/mountinfo"), mounts);
});

imageTest(
  "a mirror that cannot be reached, or that an unknown key has signed, is told",
  false,
  async () => {
    await using dir = await scratch();
    const attempt = async (change: Partial<BuildOptions>) => {
      const stagingDir = await makeStaging(dir.path, "image");
      await assert.rejects(
        buildDebianImage({ ...optionsFor(stagingDir), ...change }),
        (error) => {
          const kind = change.mirror === undefined ? "untrusted" : "unavailable";
          assert.ok(isBangerError(error, kind), `${error}`);
          assert.match(error.message, /^Cannot build image "debian-bookworm": /);
          return true;
        },
      );
    };
    await attempt({ mirror: "http://127.0.0.1:1/debian" });
    const empty = `${dir.path}/keyring.gpg`;
    await Deno.writeFile(empty, new Uint8Array());
    await Deno.chmod(dir.path, 0o755);
    await attempt({ keyring: empty });
  },
);

imageTest(
  "a disk that is too small is told before the build, or when it fills up",
  true,
  async () => {
    await using dir = await scratch();
    const sizes = { size: "size=48m", mode: "mode=0700" };
    await run("mount", ["-t", "tmpfs", "-o", `${sizes.size},${sizes.mode}`, "tmpfs", dir.path]);
    try {
      for (const neededBytes of [smallRecipe.neededBytes, 1]) {
        const stagingDir = await makeStaging(dir.path, "image");
        const recipe = { ...smallRecipe, neededBytes };
        await assert.rejects(buildDebianImage({ ...optionsFor(stagingDir), recipe }), (error) => {
          assert.ok(isBangerError(error, "exhausted"), `${error}`);
          assert.match(error.message, /needs about .* free in "/);
          return true;
        });
        await removeStaging(stagingDir, 0);
      }
      assert.deepEqual(await namesIn(dir.path), []);
    } finally {
      await run("umount", [dir.path]);
    }
  },
);

/** A user that exists only as long as the test, with its own copy of what it runs. */
async function freshUser() {
  const name = `bgr${crypto.randomUUID().slice(0, 8)}`;
  const home = await Deno.makeTempDir({ prefix: "banger-user-" });
  await run("useradd", ["--no-create-home", "--home-dir", home, "--shell", "/bin/sh", name]);
  const bundle = `${home}/build.js`;
  const main = new URL("../support/build_image_main.ts", import.meta.url).pathname;
  await run(Deno.execPath(), ["bundle", "--quiet", "-o", bundle, main], {
    env: Deno.env.toObject(),
    timeoutMs: 60_000,
  });
  await Deno.copyFile(Deno.execPath(), `${home}/deno`);
  await Deno.mkdir(`${home}/staging`);
  await run("chown", ["-R", `${name}:`, home]);
  await Deno.chmod(home, 0o700);
  const asUser = ["--reuid", name, "--regid", name, "--init-groups", "--"];
  return {
    home,
    stagingDir: `${home}/staging`,
    /** Starts a build by this user; its stdout is piped. */
    build: (where: "memory" | "disk" | "clean") =>
      new Deno.Command("setpriv", {
        args: [...asUser, `${home}/deno`, "run", "-A", "--no-config", bundle].concat(
          [`${home}/staging`, mirror!, keyring, where],
        ),
        clearEnv: true,
        env: { HOME: home, PATH: "/usr/sbin:/usr/bin:/sbin:/bin", DENO_NO_UPDATE_CHECK: "1" },
        cwd: home,
        stdout: "piped",
        stderr: "inherit",
      }).spawn(),
    [Symbol.asyncDispose]: async () => {
      await run("userdel", [name]);
      await Deno.remove(home, { recursive: true });
    },
  };
}

imageTest(
  "an ordinary user builds the same image, whatever the mode of its home",
  true,
  async () => {
    await using user = await freshUser();
    const { stdout, success } = await user.build("memory").output();
    assert.ok(success, new TextDecoder().decode(stdout).slice(-2000));
    await checkRootfs(`${user.stagingDir}/rootfs.ext4`);
    assert.deepEqual(await namesIn(user.stagingDir), ["manifest", "rootfs.ext4"]);
  },
);

imageTest(
  "when the daemon is killed its build ends, and what it left can be removed",
  true,
  async () => {
    await using user = await freshUser();
    const daemon = user.build("disk");
    let output = "";
    for await (const text of daemon.stdout.pipeThrough(new TextDecoderStream())) {
      output += text;
      // The tree holds files of subordinate ids by then.
      if (output.includes("note Setting up")) break;
    }
    assert.match(output, /note Setting up/);
    daemon.kill("SIGKILL");
    await daemon.status;
    await noneLeft(user.stagingDir);
    assert.deepEqual(await namesIn(user.stagingDir), ["tree"]);
    assert.ok((await user.build("clean").output()).success);
    assert.deepEqual(await namesIn(user.stagingDir), []);
  },
);
