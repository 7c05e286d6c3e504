/** Everything, with a home directory of 200 characters, as a user who was made a moment ago and owns nothing but a home directory. */
import assert from "node:assert/strict";
import { Banger } from "../support/banger.ts";
import { firstRunMs, needsRoot } from "../support/end_to_end.ts";
import { skipUnless } from "../support/require.ts";

const built = new URL("../../build/bin/banger", import.meta.url).pathname;

async function admin(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  assert.ok(success, `${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

/** Pids of all processes of a user. */
async function processesOf(uid: number): Promise<readonly number[]> {
  const pids: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const info = await Deno.stat(`/proc/${name}`).catch(() => undefined);
    if (info?.uid !== uid) continue;
    // One that has ended and was not waited for has no command line.
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (line !== "") pids.push(Number(name));
  }
  return pids;
}

const name = "a freshly made ordinary user pulls, runs in a repository, and leaves nothing behind";
Deno.test({
  name,
  ignore: skipUnless(name, needsRoot.met, needsRoot.otherwise),
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "banger-user-" });
    const user = `banger-${crypto.randomUUID().slice(0, 8)}`;
    // As long a home directory as a host may have: socket paths may not depend on it.
    const home = `${dir}/${"h".repeat(200 - dir.length - 1)}`;
    assert.equal(home.length, 200);
    await admin("useradd", "--create-home", "--home-dir", home, user);
    try {
      await Deno.chmod(dir, 0o755);
      await Deno.copyFile(built, `${dir}/banger`);
      const { uid, gid } = await Deno.stat(home);
      assert.ok(uid !== null && uid !== 0 && gid !== null);
      const banger = new Banger(home, {
        program: `${dir}/banger`,
        via: ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--init-groups", "--"],
        env: { BANGER_RUNTIME_DIR: `${home}/.cache/banger/runtime` },
      });
      const options = { cwd: home, timeoutMs: firstRunMs };
      const made = await banger.script(
        `cd && git init -q work && cd work && echo one > file && git add . &&
        git -c user.name=a -c user.email=a@example.test commit -qm first`,
      );
      assert.equal(made.code, 0, made.stderr);
      const doctor = await banger.run(["doctor"], options);
      assert.equal(doctor.code, 0, doctor.stdout + doctor.stderr);
      await banger.ok(["kernel", "pull", "debian-6.1-cloud"], options);
      const pull = () => banger.ok(["image", "pull", "debian-bookworm"], options);
      await Promise.all([pull(), pull()]);
      const images = JSON.parse(await banger.ok(["image", "list", "--json"])).images;
      assert.equal(images.length, 1);
      const stored = await Array.fromAsync(Deno.readDir(`${home}/.local/state/banger/images`));
      assert.equal(stored.length, 1, "both pulls share one build");
      const command = ["sh", "-c", "id -un; cat file; git log --format=%s; exit 3"];
      const run = await banger.run(["vm", "run", "--rm", "--", ...command], {
        ...options,
        cwd: `${home}/work`,
      });
      assert.equal(run.code, 3, run.stderr);
      assert.equal(run.stdout, "root\none\nfirst\n");
      assert.equal(await banger.ok(["vm", "list", "--json"]), '{\n  "vms": []\n}\n');
      await banger.close();
      assert.deepEqual(await processesOf(uid), []);
    } finally {
      const { uid } = await Deno.stat(home);
      for (const pid of await processesOf(uid ?? -1)) Deno.kill(pid, "SIGKILL");
      await admin("userdel", user);
      await Deno.remove(dir, { recursive: true });
      await Deno.remove(`/tmp/banger-${uid}`, { recursive: true }).catch(() => {});
    }
  },
});
