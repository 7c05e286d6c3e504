import assert from "node:assert/strict";
import fc from "fast-check";
import { sessionsDir } from "../wire/messages.ts";
import { sessionFile } from "../wire/session_file.ts";
import { sessionScript } from "./kit_session.ts";

const root = { uid: 0, gid: 0, groups: [] };
const id = "0123456789abcdef".repeat(2);

/** Runs the kit's script with this host's busybox, its sessions in `dir`. */
async function session(dir: string, args: readonly string[], env: Record<string, string> = {}) {
  await Deno.writeTextFile(
    `${dir}/session`,
    sessionScript.replaceAll("/.banger/bin/busybox", "/bin/busybox").replaceAll(sessionsDir, dir),
  );
  const { code, stdout, stderr } = await new Deno.Command("/bin/busybox", {
    args: ["sh", `${dir}/session`, ...args],
    env,
    clearEnv: true,
  }).output();
  return { code, stdout, stderr: new TextDecoder().decode(stderr) };
}

async function inTempDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const text = fc.string({ unit: "binary", maxLength: 20 }).map((any) =>
  any.replaceAll("\0", "").toWellFormed()
);
const word = fc.oneof(text, fc.constantFrom("", "$(id)", "'", '"', "\n", "a b", "\\", "-n", "*"));
// What a shell sets itself when it starts is not the guest's to say.
const variable = fc.oneof(
  fc.stringMatching(/^[A-Z][A-Z0-9_]{2,8}$/),
  fc.constantFrom("IFS", "PPID", "LINENO", "OPTIND", "RANDOM", "a-b", "1st", "b", "f", "next", "é"),
).filter((name) => !["PWD", "SHLVL", "OLDPWD"].includes(name));

Deno.test("whatever words and variables there are, the program gets exactly them", () =>
  inTempDir(async (dir) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(word, { maxLength: 5 }),
        fc.dictionary(variable, word, { maxKeys: 8 }),
        async (words, env) => {
          const print = 'print map { "$_\\0" } @ARGV, map { "$_=$ENV{$_}" } keys %ENV';
          const argv = ["/usr/bin/perl", "-e", print, "--", ...words] as const;
          const file = sessionFile({ ...root, cwd: "/usr", env: { PATH: "/bin", ...env }, argv });
          await Deno.writeFile(`${dir}/${id}`, file);
          const { stdout } = await session(dir, ["-c", id], { MAIL: "x", SSH_CLIENT: "me" });
          const parts = new TextDecoder().decode(stdout).split("\0").slice(0, -1);
          assert.deepEqual(parts.splice(0, words.length), words);
          const got = new Map(parts.map((entry) => {
            const at = entry.indexOf("=");
            return [entry.slice(0, at), entry.slice(at + 1)];
          }));
          for (const [name, value] of Object.entries(env)) {
            assert.equal(got.get(name), value, name);
          }
          assert.equal(got.get("SSH_CLIENT"), "me");
          assert.equal(got.get("PWD"), "/usr");
          assert.deepEqual([...got.keys()].filter((name) => /banger|MAIL/i.test(name)), []);
        },
      ),
      { numRuns: 60, examples: [[["a\nb"], { IFS: "ax", b: "/nope" }]] },
    );
  }));

Deno.test("a session is there for one connection, and nothing else is a session", () =>
  inTempDir(async (dir) => {
    const argv = ["/bin/sh", "-c", "exit 7"] as const;
    await Deno.writeFile(`${dir}/${id}`, sessionFile({ ...root, cwd: "/", env: {}, argv }));
    assert.equal((await session(dir, ["-c", id])).code, 7);
    for (const args of [["-c", id], ["-c", "../session"], ["-c", "id; id"], ["-c", ""], []]) {
      const { code, stdout, stderr } = await session(dir, args);
      assert.deepEqual([code, stdout.length], [125, 0], args.join(" "));
      assert.match(stderr, /^banger: this /);
    }
  }));
