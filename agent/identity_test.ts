import assert from "node:assert/strict";
import type { Identity } from "../src/wire/messages.ts";
import { writeFilesOfPrograms, writeFilesOfServers } from "./identity.ts";

const identity: Identity = {
  hostname: "web-1",
  machineId: "0123456789abcdef".repeat(2),
  clockMs: 0,
  hostKey: { privateKey: "PRIVATE", publicKey: "ssh-ed25519 AAAA" },
  authorizedKeys: ["ssh-ed25519 BBBB me"],
  git: { name: 'A "B" \\', email: "a@b.test" },
  network: {
    mac: "52:54:00:00:00:01",
    address: "10.0.2.15/24",
    gateway: "10.0.2.2",
    dns: ["10.0.2.3"],
  },
  growRoot: false,
};

function writeFiles(root: string, identity: Identity): void {
  writeFilesOfPrograms(root, identity);
  writeFilesOfServers(root, identity);
}

async function inRoot(body: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await body(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("an empty image gets every file it needs, twice the same", () =>
  inRoot(async (root) => {
    writeFiles(root, identity);
    const passwd = await Deno.readTextFile(`${root}/etc/passwd`);
    writeFiles(root, identity);
    assert.equal(await Deno.readTextFile(`${root}/etc/passwd`), passwd);
    assert.match(passwd, /^root:.*\nsshd:x:74:/);
    assert.equal(await Deno.readTextFile(`${root}/etc/machine-id`), `${identity.machineId}\n`);
    const hosts = await Deno.readTextFile(`${root}/etc/hosts`);
    assert.equal(hosts.match(/127\.0\.1\.1/g)?.length, 1);
    const keys = await Deno.stat(`${root}/run/banger/ssh/authorized_keys`);
    assert.equal(keys.mode! & 0o777, 0o600);
    assert.equal((await Deno.stat(`${root}/run/banger/ssh/host_key`)).mode! & 0o777, 0o600);
    assert.equal((await Deno.stat(`${root}/run/banger/ssh`)).mode! & 0o777, 0o700);
    const { stdout } = await new Deno.Command("git", {
      args: ["config", "--file", `${root}/etc/gitconfig`, "user.name"],
    }).output();
    assert.equal(new TextDecoder().decode(stdout), 'A "B" \\\n');
  }));

Deno.test("a resolver's dangling link is replaced, the image's own git settings are kept", () =>
  inRoot(async (root) => {
    await Deno.mkdir(`${root}/etc`);
    await Deno.symlink("../run/systemd/resolve/stub-resolv.conf", `${root}/etc/resolv.conf`);
    await Deno.writeTextFile(`${root}/etc/gitconfig`, "[user]\n\tname = Mine\n");
    writeFiles(root, identity);
    assert.ok((await Deno.lstat(`${root}/etc/resolv.conf`)).isFile);
    assert.equal(await Deno.readTextFile(`${root}/etc/resolv.conf`), "nameserver 10.0.2.3\n");
    assert.match(await Deno.readTextFile(`${root}/etc/gitconfig`), /Mine/);
  }));
