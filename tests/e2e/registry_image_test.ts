/** An image of a registry: pulled, booted, run in as it says, and deleted with its blobs. */
import assert from "node:assert/strict";
import { findProgram } from "../../src/process/find_program.ts";
import { plainEnv, run } from "../../src/process/run.ts";
import { DockerRegistry, registryProgram } from "../integration/docker_registry.ts";
import { firstRunMs, namesIn, refused, vmTest } from "../support/end_to_end.ts";
import { layoutOf, writeLayout } from "../support/layout_fixture.ts";
import { skipUnless } from "../support/require.ts";
import { tarOf } from "../support/tar_fixture.ts";

const missing: string[] = [];
if (await registryProgram() === undefined) missing.push("docker-registry");
if (await findProgram("skopeo") === undefined) missing.push("skopeo");

/** Nothing but busybox and two users: no init, no shell of its own, no /root. */
async function smallImage() {
  const busybox = await Deno.readFile(await findProgram("busybox") ?? "/bin/busybox");
  const base = tarOf([
    { name: "bin/", type: "5", mode: 0o755 },
    { name: "bin/busybox", content: busybox, mode: 0o755 },
    ...["sh", "id", "env", "pwd", "cat", "ls"].map((name) => (
      { name: `bin/${name}`, type: "2", link: "busybox" } as const
    )),
    { name: "etc/", type: "5", mode: 0o755 },
    { name: "etc/passwd", content: "root:x:0:0::/root:/bin/sh\napp:x:7:8::/srv:/bin/sh\n" },
    { name: "etc/gone", content: "below" },
    { name: "srv/", type: "5", mode: 0o777 },
  ]);
  const top = tarOf([
    { name: "etc/.wh.gone" },
    { name: "etc/kept", content: "above\n" },
  ]);
  const config = { Env: ["PATH=/bin", "GREETING=hi there"], WorkingDir: "/srv", User: "app:8" };
  return layoutOf({ "1": [base, top] }, config);
}

const name =
  "an image of a registry is pulled once, runs as it says, and leaves nothing when deleted";
if (!skipUnless(name, missing.length === 0, `${missing.join(", ")} not installed`)) {
  vmTest(name, async (banger) => {
    const dir = await Deno.makeTempDir({ prefix: "banger-registry-image-" });
    await using registry = await DockerRegistry.start(dir);
    try {
      await writeLayout(`${dir}/layout`, await smallImage());
      const reference = `${registry.domain}/team/small:1`;
      await run("skopeo", [
        ...["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"],
        ...[`oci:${dir}/layout:1`, `docker://${reference}`],
      ], { env: { ...plainEnv, HOME: dir }, timeoutMs: 60_000 });

      const guest = async (...command: string[]) =>
        await banger.ok(
          ["vm", "run", "--rm", "--no-workspace", "--image", reference, "--", ...command],
          { timeoutMs: firstRunMs },
        );
      const script = "id; pwd; echo $GREETING; cat /etc/kept; ls /etc";
      assert.match(
        await guest("sh", "-c", script),
        /^uid=7\(app\) gid=8.*\n\/srv\nhi there\nabove\n(?:(?!gone).*\n)*$/,
      );
      const shown = JSON.parse(await banger.ok(["image", "show", "small-1", "--json"])).image;
      assert.equal(shown.source, `registry:${reference}`);
      assert.equal(shown.run.workingDir, "/srv");
      await run("e2fsck", ["-fn", shown.rootfsPath], { timeoutMs: 60_000 });

      // The same again under another name takes neither a download nor another file system.
      await banger.ok(["image", "pull", "--name", "other", reference]);
      const other = JSON.parse(await banger.ok(["image", "show", "other", "--json"])).image;
      assert.equal(other.rootfsPath, shown.rootfsPath);
      await refused(
        banger,
        ["image", "pull", "--name", "debian-bookworm", reference],
        4,
        /that image came from debian-archive:bookworm\n {2}hint: Give it another name/,
      );
      await refused(banger, ["image", "pull", `${registry.domain}/team/none:1`], 3, /none:1/);

      const blobs = `${banger.home}/.cache/banger/blobs/sha256`;
      assert.equal((await namesIn(blobs)).length, 4);
      await banger.ok(["image", "delete", "other"]);
      assert.equal((await namesIn(blobs)).length, 4);
      await banger.ok(["image", "delete", "small-1"]);
      assert.deepEqual(await namesIn(blobs), []);
      await assert.rejects(Deno.lstat(shown.rootfsPath), Deno.errors.NotFound);
    } finally {
      // The cached home is the next test's.
      for (const left of ["other", "small-1"]) await banger.run(["image", "delete", left]);
      await Deno.remove(dir, { recursive: true });
    }
  });
}
