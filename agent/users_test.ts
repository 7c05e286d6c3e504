import assert from "node:assert/strict";
import { writeText } from "./files.ts";
import { findUser } from "./users.ts";

Deno.test("users are found as images name them", async () => {
  const root = await Deno.makeTempDir();
  try {
    assert.deepEqual(findUser(root, "root").uid, 0);
    assert.deepEqual(findUser(root, "0").home, "/root");
    writeText(`${root}/etc/passwd`, "root:x:0:0::/root:/bin/sh\napp:x:7:8::/srv:/bin/ash\n");
    writeText(`${root}/etc/group`, "app:x:8:\nextra:x:9:app\n");
    const app = { name: "app", uid: 7, gid: 8, groups: [8, 9], home: "/srv", shell: "/bin/ash" };
    assert.deepEqual(findUser(root, "app"), app);
    assert.deepEqual(findUser(root, "7"), app);
    assert.deepEqual(findUser(root, "app:extra"), { ...app, gid: 9, groups: [9] });
    assert.deepEqual(findUser(root, "app:77"), { ...app, gid: 77, groups: [77] });
    const nobody = { name: "5", uid: 5, gid: 0, groups: [0], home: "/", shell: "/bin/sh" };
    assert.deepEqual(findUser(root, "5"), nobody);
    for (const wrong of ["none", "app:none", "4294967295", "", "-1"]) {
      assert.throws(() => findUser(root, wrong), /no (user|group)/, wrong);
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
