import assert from "node:assert/strict";
import fc from "fast-check";
import { identityFiles } from "../wire/identity_files.ts";
import { type Identity, identityStampFile } from "../wire/messages.ts";
import { identifyScript } from "./kit_identify.ts";

const identity: Identity = {
  stamp: "fedcba9876543210".repeat(2),
  hostname: "web-1",
  machineId: "0123456789abcdef".repeat(2),
  clockMs: 0,
  hostKey: { privateKey: "PRIVATE", publicKey: "ssh-ed25519 AAAA" },
  authorizedKeys: ["ssh-ed25519 BBBB me"],
  git: { name: 'A "B" \\ $(x) `y`', email: "a@b.test" },
  network: {
    mac: "52:54:00:00:00:01",
    address: "10.0.2.15/24",
    gateway: "10.0.2.2",
    dns: ["10.0.2.3"],
  },
  growRoot: false,
  workDisk: null,
};

/** A guest's root with what a kernel always has. */
async function inRoot(body: (root: string) => Promise<void>): Promise<void> {
  const work = await Deno.makeTempDir();
  try {
    const root = `${work}/root`;
    await Deno.mkdir(`${root}/proc/sys/kernel`, { recursive: true });
    await Deno.mkdir(`${root}/run/banger`, { recursive: true });
    await body(root);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Runs the script as the guest does, but with this host's shell. */
async function identify(root: string, who: Identity): Promise<void> {
  const seed = `${root}/../seed`;
  await Deno.mkdir(seed, { recursive: true });
  for (const { name, text, mode } of identityFiles(who)) {
    await Deno.writeTextFile(`${seed}/${name}`, text);
    await Deno.chmod(`${seed}/${name}`, mode);
  }
  const { success, stderr } = await new Deno.Command("sh", {
    args: ["-c", identifyScript, "identify", seed, root],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  assert.equal(new TextDecoder().decode(stderr), "");
  await Deno.remove(seed, { recursive: true });
}

const text = (root: string, path: string) => Deno.readTextFile(`${root}${path}`);
const modeOf = async (path: string) => (await Deno.stat(path)).mode! & 0o777;

Deno.test("an empty image gets every file it needs, twice the same", () =>
  inRoot(async (root) => {
    await identify(root, identity);
    const files = ["/etc/passwd", "/etc/hosts", "/etc/gitconfig", "/etc/machine-id"];
    const first = await Promise.all(files.map((path) => text(root, path)));
    await identify(root, identity);
    assert.deepEqual(await Promise.all(files.map((path) => text(root, path))), first);
    assert.match(
      first[0]!,
      /^root:.*\nsshd:x:74:.*\nbanger-session:x:0:0:.*:\/\.banger\/sbin\/session\n$/,
    );
    assert.equal(first[1], "127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\tweb-1\n");
    assert.equal(first[3], `${identity.machineId}\n`);
    assert.equal(await text(root, identityStampFile), `${identity.stamp}\n`);
    assert.equal(await text(root, "/proc/sys/kernel/hostname"), "web-1\n");
    assert.equal(await text(root, "/etc/hostname"), "web-1\n");
    assert.match(await text(root, "/run/systemd/network/00-banger.network"), /Unmanaged=yes/);
    const ssh = `${root}/run/banger/ssh`;
    assert.equal(await modeOf(`${ssh}/authorized_keys`), 0o600);
    assert.equal(await modeOf(`${ssh}/host_key`), 0o600);
    assert.equal(await modeOf(ssh), 0o700);
    assert.equal(await modeOf(`${root}/run/banger`), 0o755);
    const { stdout } = await new Deno.Command("git", {
      args: ["config", "--file", `${root}/etc/gitconfig`, "user.name"],
    }).output();
    assert.equal(new TextDecoder().decode(stdout), `${identity.git!.name}\n`);
  }));

Deno.test("a resolver's dangling link is replaced, the image's own git settings are kept", () =>
  inRoot(async (root) => {
    await Deno.mkdir(`${root}/etc`);
    await Deno.symlink("../run/systemd/resolve/stub-resolv.conf", `${root}/etc/resolv.conf`);
    await Deno.writeTextFile(`${root}/etc/gitconfig`, "[user]\n\tname = Mine\n");
    await identify(root, identity);
    assert.ok((await Deno.lstat(`${root}/etc/resolv.conf`)).isFile);
    assert.equal(await text(root, "/etc/resolv.conf"), "nameserver 10.0.2.3\n");
    assert.equal(await text(root, "/etc/gitconfig"), "[user]\n\tname = Mine\n");
  }));

Deno.test("another identity replaces the first, and what it lacks stays", () =>
  inRoot(async (root) => {
    await identify(root, identity);
    const other = { ...identity, stamp: "0".repeat(32), hostname: "db", git: null, network: null };
    await identify(root, other);
    assert.equal(await text(root, "/proc/sys/kernel/hostname"), "db\n");
    assert.match(await text(root, "/etc/hosts"), /^127\.0\.1\.1\tdb$/m);
    assert.doesNotMatch(await text(root, "/etc/hosts"), /web-1/);
    assert.match(await text(root, "/etc/gitconfig"), /name = "A/);
    assert.equal(await text(root, identityStampFile), `${other.stamp}\n`);
  }));

Deno.test("whatever lines hosts and passwd have, none but banger's own is lost or changed", async () => {
  const line = fc.stringMatching(/^[ -~\t]{0,30}$/);
  const file = fc.tuple(fc.array(line, { maxLength: 5 }), fc.boolean());
  await inRoot(async (root) => {
    await Deno.mkdir(`${root}/etc`);
    await fc.assert(
      fc.asyncProperty(file, file, async ([hosts, hostsEnd], [passwd, passwdEnd]) => {
        const content = (lines: string[], end: boolean) =>
          lines.join("\n") + (end && lines.length > 0 ? "\n" : "");
        await Deno.writeTextFile(`${root}/etc/hosts`, content(hosts, hostsEnd));
        await Deno.writeTextFile(`${root}/etc/passwd`, content(passwd, passwdEnd));
        await identify(root, identity);
        const kept = hosts.filter((each) => each !== "" && !/^127\.0\.1\.1[^0-9]/.test(each));
        assert.deepEqual((await text(root, "/etc/hosts")).split("\n"), [
          ...kept,
          "127.0.1.1\tweb-1",
          "",
        ]);
        const users = (await text(root, "/etc/passwd")).split("\n");
        const before = content(passwd, passwdEnd).split("\n");
        assert.deepEqual(
          users.slice(0, before.length - (before.at(-1) === "" ? 1 : 0)),
          before
            .slice(0, before.length - (before.at(-1) === "" ? 1 : 0)),
        );
        for (const name of ["sshd:", "banger-session:"]) {
          assert.equal(users.filter((each) => each.startsWith(name)).length, 1, name);
        }
      }),
      { numRuns: 60 },
    );
  });
});
