/**
 * Row 7 of the benchmarks: `banger image pull` of a three-layer image of about 500 MB from a registry
 * on loopback, over `skopeo copy`, `umoci unpack` and `mke2fs -d` of the same, everything in memory.
 * Beside it: the memory of all of banger's processes at their peak, how long other calls of the daemon
 * take meanwhile, and a second pull of what has not changed.
 *
 * usage: deno run --allow-all tests/bench/pull_bench.ts [PAIRS] [IMAGE_DIR]
 *
 * Needs build/bin/banger, root (umoci makes devices and owners), and the network the first time: the
 * image is made of Debian packages and kept in IMAGE_DIR when one is given. Runs are interleaved.
 */
import { Paths } from "../../src/paths/paths.ts";
import { run as runProgram } from "../../src/process/run.ts";
import { DockerRegistry } from "../integration/docker_registry.ts";
import { Banger } from "../support/banger.ts";
import { benchImage } from "./bench_image.ts";
import { PullProbe } from "./pull_probe.ts";
import { at } from "./table.ts";
import { report, say } from "./report.ts";

const pairs = Math.max(7, Number(Deno.args[0] ?? 7));
const targets = { ratio: 0.3, rssMib: 350, rpcMs: 50, refreshMs: 500 } as const;
const env = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };

// A file system of its own in memory: Deno gives nobody but --allow-all a path below /dev.
const work = await Deno.makeTempDir({ prefix: "banger-pull-bench-" });
await runProgram("mount", ["-t", "tmpfs", "-o", "size=6g,mode=0700", "tmpfs", work]);
try {
  const imageDir = Deno.args[1] ?? `${work}/image`;
  await Deno.mkdir(imageDir, { recursive: true });
  const image = await benchImage(imageDir);
  const mb = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
  say(`image: 3 layers, ${mb(image.storedBytes)} stored, ${mb(image.tarBytes)} inflated`);
  await using registry = await DockerRegistry.start(work);
  const reference = `${registry.domain}/bench/image:1`;
  await skopeo(
    ...["copy", "--quiet", "--dest-tls-verify=false"],
    ...[`oci:${image.layoutDir}:bench`, `docker://${reference}`],
  );
  await compare(reference);
} finally {
  await runProgram("umount", [work]);
  await Deno.remove(work);
}

async function compare(reference: string): Promise<void> {
  const home = `${work}/home`;
  await Deno.mkdir(home, { mode: 0o700 });
  const banger = new Banger(home);
  const paths = new Paths({ uid: Deno.uid() ?? 0, home });
  const [own, peer, refresh, rss, calls]: number[][] = [[], [], [], [], []];
  const worst: number[] = [];
  try {
    await banger.ok(["vm", "list"]);
    for (let pair = -1; pair < pairs; pair++) {
      const pullMs = await timed(() => pull(banger, reference));
      const refreshMs = await timed(() => pull(banger, reference, "--refresh"));
      await banger.ok(["image", "delete", "image-1"]);
      const peerMs = await timed(() => pullAsPeers(reference, `${work}/peer`));
      await Deno.remove(`${work}/peer`, { recursive: true });
      // With the probes, and so not timed.
      await using probe = await PullProbe.start(paths);
      await pull(banger, reference);
      const seen = await probe.stop();
      await banger.ok(["image", "delete", "image-1"]);
      if (pair < 0) continue;
      own?.push(pullMs);
      refresh?.push(refreshMs);
      peer?.push(peerMs);
      rss?.push(seen.peakRssMib);
      calls?.push(at(seen.callsMs, 0.99));
      worst.push(Math.max(...seen.callsMs));
    }
  } finally {
    await banger.run(["daemon", "stop", "--force"]);
    await Deno.remove(paths.runtimeDir, { recursive: true }).catch(() => {});
  }
  const ratios = own!.map((ms, index) => ms / peer![index]!);
  report("banger image pull", own!, "ms");
  report("skopeo copy, umoci unpack, mke2fs -d", peer!, "ms");
  report("ratio, by pair", ratios, "×", targets.ratio);
  report("memory of all of banger's processes", rss!, "MiB", targets.rssMib);
  report("vm.list meanwhile, p99", calls!, "ms", targets.rpcMs);
  report("vm.list meanwhile, longest", worst, "ms");
  report("image pull --refresh, unchanged", refresh!, "ms", targets.refreshMs);
}

async function pull(banger: Banger, reference: string, ...options: string[]): Promise<void> {
  await banger.ok(["image", "pull", "--quiet", ...options, reference], { timeoutMs: 300_000 });
}

/** The same with the programs that others make an ext4 file system of an image with. */
async function pullAsPeers(reference: string, dir: string): Promise<void> {
  await Deno.mkdir(dir);
  await skopeo(
    ...["copy", "--quiet", "--src-tls-verify=false"],
    ...[`docker://${reference}`, `oci:${dir}/layout:bench`],
  );
  const options = { env, timeoutMs: 300_000 };
  await runProgram(
    "umoci",
    ["raw", "unpack", "--image", `${dir}/layout:bench`, `${dir}/rootfs`],
    options,
  );
  await runProgram("mke2fs", [
    ...["-q", "-t", "ext4", "-d", `${dir}/rootfs`, `${dir}/rootfs.ext4`, "8G"],
  ], options);
}

async function timed(body: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await body();
  return performance.now() - startMs;
}

async function skopeo(...args: string[]): Promise<void> {
  await runProgram("skopeo", ["--insecure-policy", ...args], {
    env: { ...env, HOME: work, XDG_RUNTIME_DIR: work, TMPDIR: work },
    timeoutMs: 300_000,
  });
}
