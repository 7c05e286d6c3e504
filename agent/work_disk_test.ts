import assert from "node:assert/strict";
import { guestContext } from "./context.ts";
import { Failure } from "./failure.ts";
import { writeText } from "./files.ts";
import { mountWorkDisk } from "./work_disk.ts";

/** A guest with one user whose kit's program says its arguments in a file, and then does `script`. */
async function inGuest(
  script: string,
  body: (mount: (user: string | null) => Promise<void>, said: () => string) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    writeText(`${root}/etc/passwd`, "root:x:0:0::/root:/bin/sh\napp:x:7:8::/home/app:/bin/sh\n");
    writeText(`${root}/sbin/work-disk`, `#!/bin/sh\necho "$@" >${root}/said\n${script}\n`, 0o755);
    const context = { ...guestContext(), root, kit: root };
    await body(
      (user) => mountWorkDisk(context, user),
      () => Deno.readTextFileSync(`${root}/said`).trim(),
    );
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("the work disk is for the home directory of the image's user", () =>
  inGuest("", async (mount, said) => {
    for (
      const [user, expected] of [
        [null, "/root 0:0"],
        ["app", "/home/app 7:8"],
        ["app:80", "/home/app 7:80"],
        ["ghost", "/root 0:0"],
        ["4242:99", "/workspace 4242:99"],
        ["app\n/etc", "/root 0:0"],
      ] as const
    ) {
      await mount(user);
      assert.equal(said(), expected);
    }
  }));

Deno.test("what is wrong with the work disk is the answer", async () => {
  const failure = (message: string) => (error: unknown) =>
    error instanceof Failure && error.kind === "internal" && error.message === message;
  await inGuest("echo it is full; exit 1", async (mount) => {
    await assert.rejects(mount(null), failure("it is full"));
  });
  await inGuest("exit 1", async (mount) => {
    await assert.rejects(mount(null), failure("the work disk cannot be used"));
  });
});
