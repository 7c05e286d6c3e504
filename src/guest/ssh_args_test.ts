import assert from "node:assert/strict";
import fc from "fast-check";
import { shellWord, sshArgs, type SshTarget } from "./ssh_args.ts";

const target: SshTarget = {
  vmId: "0123456789abcdef",
  port: 2222,
  identityFile: "/keys/id",
  knownHostsFile: "/vms/100% mine/known_hosts",
};

Deno.test("the host comes after --, the command is one quoted argument", () => {
  const args = sshArgs(target, { command: ["sh", "-c", "echo 'a b' $HOME"], terminal: "none" });
  assert.deepEqual(args.slice(-3), [
    "--",
    "root@127.0.0.1",
    `sh -c 'echo '\\''a b'\\'' $HOME'`,
  ]);
  assert.ok(args.includes("-T"));
});

Deno.test("nothing of the user's ssh configuration can take part", () => {
  const args = sshArgs(target);
  assert.deepEqual(args.slice(0, 2), ["-F", "/dev/null"]);
  const wanted = [
    "IdentityAgent=none",
    "IdentitiesOnly=yes",
    "ProxyCommand=none",
    "ControlPath=none",
    "StrictHostKeyChecking=yes",
    "HostKeyAlias=0123456789abcdef",
    `UserKnownHostsFile="/vms/100%% mine/known_hosts"`,
  ];
  for (const option of wanted) assert.equal(args[args.indexOf(option) - 1], "-o", option);
});

Deno.test("ssh itself accepts the options and sees them as they are meant", async () => {
  const { stdout, stderr, code } = await new Deno.Command("ssh", {
    args: ["-G", ...sshArgs(target)],
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const said = new TextDecoder().decode(stdout);
  assert.match(said, /^userknownhostsfile \/vms\/100% mine\/known_hosts$|100%% mine/m);
  assert.match(said, /^stricthostkeychecking (yes|true)$/m);
  assert.match(said, /^identityagent none$/m);
});

Deno.test("any word survives the guest's shell", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ maxLength: 12 }).filter((word) => !word.includes("\0")), {
        minLength: 1,
        maxLength: 20,
      }),
      async (words) => {
        const { stdout } = await new Deno.Command("sh", {
          args: ["-c", `printf '%s\\001' ${words.map(shellWord).join(" ")}`],
        }).output();
        const text = words.map((word) => `${word.toWellFormed()}\x01`).join("");
        assert.deepEqual(stdout, new TextEncoder().encode(text));
      },
    ),
    { numRuns: 20 },
  );
});
