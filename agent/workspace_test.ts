import assert from "node:assert/strict";
import { writeText } from "./files.ts";
import { imageUser, ownerText, workspaceDir } from "./workspace.ts";

const passwd = `root:x:0:0::/elsewhere:/bin/sh
app:x:7:8::/home/app:/bin/sh
slash:x:9:9::/home/slash/:/bin/sh
web:x:33:33::/var/www:/usr/sbin/nologin
nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin
odd:x:10:10::relative:/bin/sh
games:x:5:60::/usr/games:/usr/sbin/nologin
climber:x:6:60::/home/../etc:/bin/sh
banger-session:x:0:0:banger:/:/.banger/sbin/session
`;

async function inRoot(body: (root: string) => void): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    body(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("a workspace is below the home of its owner, where there is one", () =>
  inRoot((root) => {
    writeText(`${root}/etc/passwd`, passwd);
    const dir = (owner: string | null) => workspaceDir(root, { name: "repo", owner, isNew: false });
    assert.equal(dir(null), "/root/repo");
    assert.equal(dir("0:5"), "/root/repo");
    assert.equal(dir("app"), "/home/app/repo");
    assert.equal(dir("app:80"), "/home/app/repo");
    assert.equal(dir("slash"), "/home/slash/repo");
    assert.equal(dir("web"), "/var/www/repo");
    for (const homeless of ["4242", "4242:1", "nobody", "odd", "games", "climber"]) {
      assert.equal(dir(homeless), "/workspace/repo", homeless);
    }
    assert.equal(dir("ghost"), "/root/repo");
    assert.equal(ownerText(root, { name: "repo", owner: "app:80", isNew: true }), "7:80");
    assert.equal(ownerText(root, { name: "repo", owner: null, isNew: true }), "0:0");
  }));

Deno.test("what an image names and does not have is left out, and nobody is banger's own user", () =>
  inRoot((root) => {
    assert.equal(imageUser(root, "app").name, "root");
    writeText(`${root}/etc/passwd`, passwd);
    const uidAndGid = (wanted: string | null) => {
      const { uid, gid } = imageUser(root, wanted);
      return [uid, gid];
    };
    assert.deepEqual(uidAndGid("app"), [7, 8]);
    assert.deepEqual(uidAndGid("app:ghosts"), [7, 8]);
    assert.deepEqual(uidAndGid("ghost:ghosts"), [0, 0]);
    assert.deepEqual(uidAndGid("4242:ghosts"), [4242, 0]);
    assert.deepEqual(uidAndGid(":8"), [0, 0]);
    assert.deepEqual(uidAndGid(null), [0, 0]);
    writeText(`${root}/etc/passwd`, passwd.replace(/^root.*\n/, ""));
    assert.equal(imageUser(root, "0").name, "root");
    assert.equal(imageUser(root, "banger-session").home, "/root");
  }));
