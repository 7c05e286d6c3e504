/** The image with Docker: containers run in its guest, from an image made there, without the Internet. */
import assert from "node:assert/strict";
import { firstRunMs, vmTest } from "../support/end_to_end.ts";

const image = "debian-bookworm-docker";

/** Imports a root file system with one static program, and runs it in several ways. */
const script = `set -eu
mkdir -p /tmp/root/bin /tmp/root/www
cp /.banger/bin/busybox /tmp/root/bin/busybox
echo served >/tmp/root/www/index.html
tar -C /tmp/root -c . | docker import - tiny >/dev/null
docker run --rm -e A=b --hostname inside tiny /bin/busybox sh -c 'echo "$A $(/bin/busybox hostname)"; exit 7' ||
  echo "code $?"
docker info --format '{{.Driver}} {{.CgroupVersion}}'
docker run -d --name web -p 8080:80 tiny /bin/busybox httpd -f -h /www >/dev/null
curl --silent --show-error --retry 20 --retry-connrefused --retry-delay 1 http://127.0.0.1:8080/
docker rm -f web
`;

vmTest("docker run works in a guest of its image", async (banger) => {
  await banger.ok(["image", "pull", image], { timeoutMs: firstRunMs });
  const { code, stdout, stderr } = await banger.run(
    ["vm", "run", "--rm", "--no-workspace", "--image", image, "--", "sh", "-c", script],
    { timeoutMs: firstRunMs },
  );
  assert.equal(stdout, "b inside\ncode 7\noverlay2 2\nserved\nweb\n", stderr);
  assert.equal(code, 0);
});
