import assert from "node:assert/strict";
import { skipUnless } from "../support/require.ts";
import { isRoot, program, runProgram } from "./built_program.ts";

async function admin(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  assert.ok(success, `${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

const name = "it runs as a freshly made ordinary user";
Deno.test({
  name,
  ignore: skipUnless(name, isRoot, "only root can make a user"),
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "banger-user-" });
    const user = `banger-${crypto.randomUUID().slice(0, 8)}`;
    await admin("useradd", "--create-home", "--home-dir", `${dir}/home`, user);
    try {
      // The working tree may be closed to the user; a directory of root's that all may enter is not.
      await Deno.chmod(dir, 0o755);
      await Deno.copyFile(program, `${dir}/banger`);
      const { uid, gid } = await Deno.stat(`${dir}/home`);
      assert.ok(uid !== null && uid !== 0 && gid !== null);
      const as = { env: { HOME: `${dir}/home` }, uid, gid };
      const first = await runProgram(`${dir}/banger`, ["version", "--json"], as);
      assert.deepEqual({ code: first.code, err: first.err }, { code: 0, err: "" });
      const again = await runProgram(`${dir}/banger`, ["version", "--json"], as);
      assert.equal(again.out, first.out);
      assert.equal((await Deno.stat(`${dir}/home/.cache/banger/runtime`)).uid, uid);

      const refused = await runProgram(`${dir}/banger`, ["version"], {
        env: { HOME: `${dir}/home` },
      });
      assert.equal(refused.code, 5, "root does not run what an ordinary user may change");
      assert.match(refused.err, new RegExp(`user ${uid} owns ${dir}/home`));
    } finally {
      await admin("userdel", user);
      await Deno.remove(dir, { recursive: true });
    }
  },
});
