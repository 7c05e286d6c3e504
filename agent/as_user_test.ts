import assert from "node:assert/strict";
import { asUser } from "./as_user.ts";
import { guestContext } from "./context.ts";

const context = guestContext();
const root = { name: "root", uid: 0, gid: 0, groups: [], home: "/root", shell: "/bin/sh" };
const app = { ...root, name: "app", uid: 7, gid: 8, groups: [8, 9] };

Deno.test("only the agent's own user needs no help to become one", () => {
  const started = { argv: ["/bin/id", "-u"] as const, env: { A: "1", LD_PRELOAD: "/x.so" } };
  assert.deepEqual(asUser(context, root, started), started);
  const setpriv = ["/.banger/bin/setpriv", "--reuid=0", "--regid=5", "--clear-groups", "--"];
  const { argv } = asUser(context, { ...root, gid: 5 }, { ...started, env: {} });
  assert.deepEqual(argv, [...setpriv, "/bin/id", "-u"]);
});

Deno.test("what an image has its loader do reaches its program and not the kit's", () => {
  const env = { A: "1", LD_PRELOAD: "/x.so", LD_LIBRARY_PATH: "/lib x" };
  assert.deepEqual(asUser(context, app, { argv: ["/bin/id"], env }), {
    argv: [
      ...["/.banger/bin/setpriv", "--reuid=7", "--regid=8", "--groups=8,9", "--"],
      ...["/.banger/bin/busybox", "env", "LD_PRELOAD=/x.so", "LD_LIBRARY_PATH=/lib x"],
      "/bin/id",
    ],
    env: { A: "1" },
  });
});
