import assert from "node:assert/strict";
import { sshArgs, type SshTarget } from "./ssh_args.ts";

const target: SshTarget = {
  vmId: "0123456789abcdef",
  port: 2222,
  identityFile: "/keys/id",
  knownHostsFile: "/vms/100% mine/known_hosts",
};

Deno.test("the host comes after --, and a session is one word behind it", () => {
  assert.deepEqual(sshArgs(target).slice(-2), ["--", "root@127.0.0.1"]);
  const session = "0123456789abcdef".repeat(2);
  const args = sshArgs(target, { session, terminal: "none" });
  assert.deepEqual(args.slice(-3), ["--", "banger-session@127.0.0.1", session]);
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
