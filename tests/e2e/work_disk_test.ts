/** The disk that keeps the home directory of a VM that stays. */
import assert from "node:assert/strict";
import { run } from "../../src/process/run.ts";
import type { Banger } from "../support/banger.ts";
import { firstRunMs, refused, stateDirOf, vmTest, WatchedRun } from "../support/end_to_end.ts";
import { busyboxImage } from "../support/guest_images.ts";
import { layoutOf, writeLayout } from "../support/layout_fixture.ts";

const gib = 1024 ** 3;

/** Runs a shell script in the VM; answers its stdout. */
async function inVm(banger: Banger, vm: string, script: string): Promise<string> {
  return await banger.ok(["vm", "exec", vm, "--", "sh", "-c", script], { timeoutMs: firstRunMs });
}

interface Shown {
  readonly id: string;
  readonly state: string;
  readonly image: string;
  readonly workDiskBytes: number;
  readonly workDiskUsedBytes: number;
}

async function shown(banger: Banger, vm: string): Promise<Shown> {
  return JSON.parse(await banger.ok(["vm", "show", vm, "--json"])).vm;
}

vmTest(
  "the home directory is on a disk of its own, which grows and is never made twice",
  async (banger) => {
    const small = ["--cpus", "1", "--memory", "512M"];
    const ok = (...args: string[]) => banger.ok(args, { timeoutMs: firstRunMs });
    for (const [size, words] of [["1M", /at least 64 MiB/], ["9T", /at most 8 TiB/]] as const) {
      await refused(banger, ["vm", "create", "--work-disk", size], 2, words);
    }
    await refused(banger, ["vm", "create", "--work-disk", "1G", "--no-work-disk"], 2, /both/);
    await refused(banger, ["vm", "run", "--rm", "--work-disk", "1G"], 125, /nothing would be kept/);
    assert.match(await ok("vm", "run", "--rm", "--no-workspace", "--", "df", "/root"), / \/\n/);

    await ok("vm", "create", "--name", "home", "--start", ...small);
    assert.equal((await shown(banger, "home")).workDiskBytes, 8 * gib);
    assert.match(
      await ok("vm", "show", "home"),
      /\nWork disk: +8 GiB \([\d.]+ [KM]iB used on the host\)\n/,
    );
    const first = await inVm(
      banger,
      "home",
      "df --output=source,target /root | tail -n 1; ls -A /root; stat -c '%a %U' /root/.bashrc /root; " +
        "stat -c %a /run/banger/work; echo kept >/root/kept; sync",
    );
    assert.match(first, /^\/dev\/vd. +\/root\n\.bashrc\n\.profile\n/);
    assert.match(first, /\n644 root\n700 root\n700\n$/);

    await refused(banger, ["vm", "set", "home", "--work-disk", "9G"], 5, /work disk of VM "home"/);
    await ok("vm", "stop", "home");
    await refused(banger, ["vm", "set", "home", "--work-disk", "1G"], 2, /disks only grow/);
    await ok("vm", "set", "home", "--work-disk", "12G");
    const file = `${await stateDirOf(banger)}/vms/${(await shown(banger, "home")).id}/work.ext4`;
    await Deno.rename(file, `${file}.away`);
    // All that is missing is told at once, each with what to do.
    await ok("vm", "set", "home", "--memory", "1000G");
    const { stderr } = await refused(
      banger,
      ["vm", "start", "home"],
      5,
      /Cannot start VM "home": its work disk ".*work\.ext4" is missing; there is no room for 1024000 MiB/,
    );
    assert.match(stderr, /hint: Put it back.*\n.*Choose less memory/);
    await ok("vm", "set", "home", "--memory", "512M");
    await assert.rejects(Deno.lstat(file), Deno.errors.NotFound);
    await Deno.rename(`${file}.away`, file);
    await ok("vm", "start", "home");
    const [size, kept] = (await inVm(
      banger,
      "home",
      "df -B1 --output=size /root | tail -n 1; cat /root/kept",
    )).trim().split("\n");
    assert.equal(kept, "kept");
    assert.ok(Number(size) > 11.5 * gib && Number(size) < 12 * gib, size);
  },
);

vmTest("a VM without a work disk gets one, with what is in its home directory", async (banger) => {
  const ok = (...args: string[]) => banger.ok(args, { timeoutMs: firstRunMs });
  const small = ["--cpus", "1", "--memory", "512M", "--no-work-disk"];
  await ok("vm", "create", "--name", "late", "--start", ...small);
  assert.equal((await shown(banger, "late")).workDiskBytes, 0);
  await inVm(banger, "late", "mkdir -p /root/a/b; echo mine >/root/a/b/c; ln -s c /root/a/b/d");
  await inVm(
    banger,
    "late",
    "head -c 90000000 /dev/urandom >/root/big; md5sum /root/big >/sum; sync",
  );
  await ok("vm", "stop", "late");
  // One that what is there does not fit into.
  await ok("vm", "set", "late", "--work-disk", "64M");
  const words = /home directory .* cannot be copied to the work disk: .*No space left on device/;
  await refused(banger, ["vm", "start", "late"], 1, words);
  await ok("vm", "set", "late", "--work-disk", "256M");
  // The VM ends in the middle of the copy: what there is of it does not count.
  const start = new WatchedRun(banger, ["vm", "start", "late"]);
  await start.said(/==> Booting … done/);
  start.kill("SIGINT");
  assert.equal(await start.end(), 130, start.stderr);
  const file = `${await stateDirOf(banger)}/vms/${(await shown(banger, "late")).id}/work.ext4`;
  const { stdout } = await run("debugfs", ["-R", "ls -p /", file], { timeoutMs: 30_000 });
  assert.doesNotMatch(new TextDecoder().decode(stdout), /\/home\//);
  await ok("vm", "start", "late");
  assert.equal(
    await inVm(banger, "late", "df --output=target /root | tail -n 1; cat /root/a/b/d"),
    "/root\nmine\n",
  );
  assert.equal(await inVm(banger, "late", "md5sum -c /sum"), "/root/big: OK\n");
});

/** A repository with one commit. */
async function makeRepository(dir: string): Promise<void> {
  const script = `git init -q -b main . && echo one >tracked && git add . &&
    git -c user.name=a -c user.email=a@example.test commit -qm first`;
  await Deno.mkdir(dir);
  await run("sh", ["-c", script], { cwd: dir });
}

vmTest(
  "a reset keeps the home directory and nothing else, also over to another image",
  async (banger) => {
    const dir = await Deno.makeTempDir({ prefix: "banger-reset-" });
    const ok = (...args: string[]) => banger.ok(args, { timeoutMs: firstRunMs });
    try {
      await makeRepository(`${dir}/repo`);
      const small = ["--name", "reset", "--cpus", "1", "--memory", "512M", "-l", "team=a"];
      const change =
        "echo x >/etc/changed; echo x >/usr/changed; rm /etc/motd; echo mine >>tracked; sync";
      await banger.ok(["vm", "run", "--quiet", ...small, "--", "sh", "-c", change], {
        cwd: `${dir}/repo`,
        timeoutMs: firstRunMs,
      });
      const before = await shown(banger, "reset");
      await refused(
        banger,
        ["vm", "reset", "reset"],
        4,
        /it is running\n {2}hint: banger vm stop reset/,
      );
      assert.equal(await inVm(banger, "reset", "cat /etc/changed"), "x\n");
      const both = await banger.run(["vm", "reset", "--force", "reset", "nobody"], {
        timeoutMs: firstRunMs,
      });
      assert.deepEqual([both.code, /Reset VM "reset"\n/.test(both.stderr)], [3, true], both.stderr);
      assert.deepEqual({ ...before, state: "stopped" }, {
        ...await shown(banger, "reset"),
        ...changing(before),
      });
      await ok("vm", "start", "reset");
      const facts =
        "ls /etc/changed /usr/changed 2>&1; ls /etc/motd; pwd; cat tracked; git log --format=%s";
      assert.match(
        await ok("vm", "ssh", "reset", "--", "sh", "-c", facts),
        /^(ls: cannot access .*\n){2}\/etc\/motd\n\/root\/repo\none\nmine\nfirst\n$/,
      );

      // A command of its own, until it is taken back.
      await refused(banger, ["vm", "exec", "reset"], 125, /CMD… is missing/);
      await ok("vm", "set", "reset", "--", "sh", "-c", 'echo "$0 $PWD"; exit 7', "it's");
      for (const verb of ["exec", "ssh"]) {
        const own = await banger.run(["vm", verb, "reset"], { timeoutMs: firstRunMs });
        assert.deepEqual([own.code, own.stdout], [7, "it's /root/repo\n"], own.stderr);
        assert.equal(await ok("vm", verb, "reset", "--", "echo", "other"), "other\n");
      }
      await ok("vm", "set", "reset", "--image-command");
      await refused(banger, ["vm", "exec", "reset"], 125, /CMD… is missing/);

      // Busybox without an init, whose user `app` is at home in /srv.
      const image = await busyboxImage({ User: "app" });
      await writeLayout(`${dir}/other`, layoutOf({ "1": image.layers }, image.config));
      await ok("vm", "reset", "--force", "--image", `oci:${dir}/other:1`, "reset");
      assert.equal((await shown(banger, "reset")).image, "other-1");
      await ok("vm", "start", "reset");
      assert.equal(
        await inVm(
          banger,
          "reset",
          "id -un; pwd; cat tracked; ls -d /srv/.bashrc; touch /srv/new",
        ),
        "app\n/srv/repo\none\nmine\n/srv/.bashrc\n",
      );
    } finally {
      await ok("vm", "delete", "--force", "reset");
      await banger.run(["image", "delete", "other-1"]);
      await Deno.remove(dir, { recursive: true });
    }
  },
);

/** What may differ between two looks at a VM that is as it was. */
function changing(vm: Shown): Partial<Shown> {
  const { state: _state, ...rest } = vm;
  return Object.fromEntries(
    Object.entries(rest).filter(([key]) => /UsedBytes$|sshPort/.test(key)),
  );
}
