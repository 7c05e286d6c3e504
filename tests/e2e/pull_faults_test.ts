/** Pulls of images that break in the middle: network, disk, processes, and whoever stops them. */
import assert from "node:assert/strict";
import { Banger } from "../support/banger.ts";
import {
  daemonPid,
  freshTest,
  namesIn,
  needsRoot,
  refused,
  until,
  WatchedRun,
} from "../support/end_to_end.ts";
import { FakeRegistry, noise } from "../support/fake_registry.ts";
import { benignLayer, gzipLayer, serveImage } from "../support/hostile_images.ts";
import { tarOf } from "../support/layer_fixture.ts";
import { processesBelow, textOf } from "../support/memory_probe.ts";
import { MountNamespace } from "../support/mount_namespace.ts";

const staging = (banger: Banger) => namesIn(`${banger.home}/.local/state/banger/staging`);
const large = (seed: number) =>
  gzipLayer(tarOf([{ name: `noise-${seed}`, content: noise(4_000_000, seed) }]));
const pullOf = (registry: FakeRegistry, name: string) => [
  ...["image", "pull", `${registry.domain}/team/${name}`],
];

/** Pid of the process that unpacks; waits until it is there. */
async function flattenerPid(daemon: number): Promise<number> {
  let pid: number | undefined;
  await until("the unpacking has begun", () => {
    pid = processesBelow([daemon]).find((each) =>
      textOf(each, "cmdline").includes("\0flattener\0")
    );
    return Promise.resolve(pid !== undefined);
  });
  return pid ?? assert.fail();
}

/** Waits until the process that unpacks has written what there is of the first layer. */
async function untilWritten(banger: Banger): Promise<void> {
  const dir = `${banger.home}/.local/state/banger/staging`;
  await until("half of it is written", async () => {
    const files = (await namesIn(dir)).map((name) => `${dir}/${name}/rootfs.ext4`);
    const found = await Promise.all(files.map((file) => Deno.stat(file).catch(() => undefined)));
    return found.some((info) => (info?.blocks ?? 0) * 512 > 500_000);
  });
}

/** A registry whose layers come to their half and then stop, until it is told to behave. */
function stallLayers(registry: FakeRegistry): void {
  registry.misbehave = (request) => {
    const { pathname } = new URL(request.url);
    const blob = registry.blobs.get(pathname.slice(pathname.lastIndexOf("/") + 1));
    if (blob === undefined || blob.length < 1_000_000) return undefined;
    return new Response(registry.stalling(blob.slice(0, blob.length / 2)), {
      headers: { "content-length": String(blob.length) },
    });
  };
}

freshTest(
  "Ctrl-C in the middle of an image ends it at once, and the next pull goes on",
  async (banger) => {
    await using registry = new FakeRegistry();
    serveImage(registry, "1", [large(1), benignLayer()]);
    stallLayers(registry);
    await banger.ok(["vm", "list"]);
    const daemon = await daemonPid(banger);
    const pulling = new WatchedRun(banger, pullOf(registry, "app:1"));
    const flattener = await flattenerPid(daemon);
    // Something has come, so that there is something to go on with.
    await untilWritten(banger);
    const startMs = performance.now();
    pulling.kill("SIGINT");
    assert.equal(await pulling.end(), 130, pulling.stderr);
    assert.ok(performance.now() - startMs < 5000);
    assert.equal(textOf(flattener, "cmdline"), "", "the unpacking goes on");
    assert.deepEqual(await staging(banger), []);
    registry.misbehave = () => undefined;
    await banger.ok(pullOf(registry, "app:1"));
    assert.ok(registry.requests("/blobs/").some(({ range }) => range !== null), "it began anew");
    await banger.ok(["image", "delete", "app-1"]);
  },
);

freshTest("when the process that unpacks dies, only its pull fails", async (banger) => {
  await using registry = new FakeRegistry();
  serveImage(registry, "1", [large(1)]);
  serveImage(registry, "2", [large(2)]);
  stallLayers(registry);
  await banger.ok(["vm", "list"]);
  const daemon = await daemonPid(banger);
  for (
    const [signal, words] of [
      ["SIGABRT", /Cannot unpack image "[^"]+app:1": its unpacking ended with exit code 134/],
      ["SIGKILL", /Cannot unpack image "[^"]+app:1": it takes too much memory/],
    ] as const
  ) {
    const pulling = new WatchedRun(banger, pullOf(registry, "app:1"));
    const flattener = await flattenerPid(daemon);
    await untilWritten(banger);
    Deno.kill(flattener, signal);
    assert.equal(await pulling.end(), 1, pulling.stderr);
    assert.match(pulling.stderr, words);
    assert.deepEqual(await staging(banger), []);
  }
  assert.equal(await daemonPid(banger), daemon);
  registry.misbehave = () => undefined;
  for (const name of ["app:1", "app:2"]) await banger.ok(pullOf(registry, name));
  for (const name of ["app-1", "app-2"]) await banger.ok(["image", "delete", name]);
});

freshTest(
  "a daemon that is killed in the middle leaves no process, and its next one nothing",
  async (banger) => {
    await using registry = new FakeRegistry();
    serveImage(registry, "1", [large(1)]);
    stallLayers(registry);
    await banger.ok(["vm", "list"]);
    const daemon = await daemonPid(banger);
    const pulling = new WatchedRun(banger, pullOf(registry, "app:1"));
    const flattener = await flattenerPid(daemon);
    await untilWritten(banger);
    Deno.kill(daemon, "SIGKILL");
    assert.notEqual(await pulling.end(), 0);
    await until(
      "the unpacking ends",
      () => Promise.resolve(textOf(flattener, "cmdline") === ""),
      10_000,
    );
    registry.misbehave = () => undefined;
    await banger.ok(["vm", "list"]);
    await until("it is tidy", async () => (await staging(banger)).length === 0);
    await banger.ok(pullOf(registry, "app:1"));
    await banger.ok(["image", "delete", "app-1"]);
  },
);

freshTest("at once, the same image is fetched once, and others come beside it", async (banger) => {
  await using registry = new FakeRegistry();
  const shared = large(1);
  serveImage(registry, "1", [shared, large(2)]);
  serveImage(registry, "2", [shared, large(3)]);
  await banger.ok(["vm", "list"]);
  const names = ["app:1", "app:1", "app:2", "app:1", "app:2"];
  const ends = await Promise.all(names.map((name) => banger.run(pullOf(registry, name))));
  for (const { code, stderr } of ends) assert.equal(code, 0, stderr);
  const asked = registry.requests("/blobs/").map(({ path }) => path);
  assert.deepEqual(asked.toSorted(), [...new Set(asked)].toSorted(), "a blob was asked for twice");
  assert.deepEqual(await staging(banger), []);
  for (const name of ["app-1", "app-2"]) await banger.ok(["image", "delete", name]);
});

freshTest("what a registry answers is told with the next step, or tried again", async (banger) => {
  await using registry = new FakeRegistry();
  serveImage(registry, "1", [benignLayer()]);
  const status = (code: number, headers: Record<string, string> = {}) => () =>
    new Response("{}", { status: code, headers });
  for (
    const [answer, code, words] of [
      [status(401), 5, /\(401\)\n {2}hint: .*docker login/],
      [status(403), 5, /does not let it read tag "1" \(403\)\n {2}hint: .*docker login/],
      [status(404), 3, /has no tag "1"\n {2}hint: Check the name/],
      [status(429, { "retry-after": "3600" }), 1, /429.*it asks to wait 3600 s\n {2}hint: /],
    ] as const
  ) {
    registry.misbehave = answer;
    await refused(banger, pullOf(registry, "app:1"), code, words);
  }
  for (const failing of [status(500), status(429, { "retry-after": "1" })]) {
    registry.misbehave = (_, count) => count % 2 === 1 ? failing() : undefined;
    registry.seen.length = 0;
    await banger.ok([...pullOf(registry, "app:1"), "--refresh"]);
    await banger.ok(["image", "delete", "app-1"]);
  }
});

freshTest(
  "a disk that is too small or fills up is told, and nothing of the image is left",
  async (fresh) => {
    await using namespace = await MountNamespace.make(
      `mount -t tmpfs -o mode=0700,size=30m tmpfs ${fresh.home}`,
    );
    const banger = new Banger(fresh.home, { via: namespace.via });
    await using registry = new FakeRegistry();
    const incompressible = gzipLayer(tarOf([{ name: "noise", content: noise(16_000_000, 1) }]));
    const zeros = new Uint8Array(60_000_000).map((_, at) => at % 4096 === 0 ? at >> 12 : 65);
    serveImage(registry, "large", [incompressible]);
    serveImage(registry, "grows", [gzipLayer(tarOf([{ name: "words", content: zeros }]))]);
    const files = async () =>
      await namespace.run(
        `cd ${fresh.home}/.local/state/banger && find staging images -mindepth 1;` +
          `cd ${fresh.home}/.cache/banger && find blobs -name '*.part' -o -size +100k`,
      );
    try {
      await refused(
        banger,
        pullOf(registry, "app:large"),
        1,
        /Cannot pull image "[^"]+:large": it needs about \d+ MiB free in "[^"]+", only \d+ MiB are free/,
      );
      assert.equal(registry.requests("/blobs/").length, 1, "only the configuration was fetched");
      await refused(
        banger,
        pullOf(registry, "app:grows"),
        1,
        /Cannot write image .*the disk is full\n {2}hint: /,
      );
      assert.equal(await files(), "");
      await namespace.run(`mount -o remount,size=100m ${fresh.home}`);
      await banger.ok(pullOf(registry, "app:grows"));
      await banger.ok(["image", "delete", "app-grows"]);
    } finally {
      await banger.close();
    }
  },
  needsRoot,
);
