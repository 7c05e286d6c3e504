import { createHash } from "node:crypto";
import { plainEnv, run } from "../../src/process/run.ts";

/** The layers that are made of Debian packages, the lowest first. */
const packageLayers: readonly (readonly string[])[] = [
  [
    ...["bash", "coreutils", "git", "libc6", "libicu72", "libperl5.36", "libpython3.11-stdlib"],
    ...["perl-modules-5.36", "vim-runtime"],
  ],
  [
    ...["binutils-x86-64-linux-gnu", "cpp-12", "g++-12", "gcc-12", "libc6-dev", "libgcc-12-dev"],
    "libstdc++-12-dev",
  ],
];
/** The topmost layer: files of words and of what cannot be compressed. */
const data = { bytes: 100 * 1024 ** 2, words: 4096, seed: 7 } as const;
const mediaType = "application/vnd.oci.image";

/** The image that is pulled, in an OCI layout with the tag `bench`. */
export interface BenchImage {
  readonly layoutDir: string;
  /** Bytes of the layers, compressed and inflated. */
  readonly storedBytes: number;
  readonly tarBytes: number;
}

/**
 * An image of three gzip layers and about 500 MB below `dir`: two of Debian packages, one of data
 * that is the same each time. One that is there already is taken as it is.
 */
export async function benchImage(dir: string): Promise<BenchImage> {
  const layoutDir = `${dir}/layout`;
  try {
    return JSON.parse(await Deno.readTextFile(`${dir}/image.json`));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await Deno.mkdir(`${layoutDir}/blobs/sha256`, { recursive: true });
  const layers: Layer[] = [];
  for (const [index, names] of packageLayers.entries()) {
    layers.push(
      await layerOf(dir, layoutDir, `packages-${index}`, (tree) => unpack(names, dir, tree)),
    );
  }
  layers.push(await layerOf(dir, layoutDir, "data", writeData));
  await writeManifest(layoutDir, layers);
  const image = {
    layoutDir,
    storedBytes: layers.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
    tarBytes: layers.reduce((sum, { tarBytes }) => sum + tarBytes, 0),
  };
  await Deno.writeTextFile(`${dir}/image.json`, JSON.stringify(image));
  return image;
}

interface Layer {
  readonly digest: string;
  readonly diffId: string;
  readonly storedBytes: number;
  readonly tarBytes: number;
}

async function layerOf(
  dir: string,
  layoutDir: string,
  name: string,
  fill: (tree: string) => Promise<void>,
): Promise<Layer> {
  const tree = `${dir}/${name}`;
  const tar = `${tree}.tar`;
  await Deno.mkdir(tree);
  await fill(tree);
  await run("tar", [
    ...["--create", "--file", tar, "--format=pax", "--sort=name", "--mtime=@1600000000"],
    ...["--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f"],
    ...["--owner=0", "--group=0", "--numeric-owner", "--directory", tree, "."],
  ], { timeoutMs: 120_000 });
  await Deno.remove(tree, { recursive: true });
  const [diffId, tarBytes] = [await digestOf(tar), (await Deno.stat(tar)).size];
  await run("gzip", ["-n", "-6", tar], { timeoutMs: 300_000 });
  const digest = await digestOf(`${tar}.gz`);
  const path = `${layoutDir}/blobs/${digest.replace(":", "/")}`;
  await Deno.rename(`${tar}.gz`, path);
  return { digest, diffId, storedBytes: (await Deno.stat(path)).size, tarBytes };
}

async function unpack(names: readonly string[], dir: string, tree: string): Promise<void> {
  const work = `${dir}/debs`;
  await Deno.mkdir(work, { mode: 0o777 });
  await run("apt-get", ["-q", "download", ...names], {
    cwd: work,
    env: { ...plainEnv, DEBIAN_FRONTEND: "noninteractive" },
    timeoutMs: 300_000,
  });
  const files = (await Array.fromAsync(Deno.readDir(work), ({ name }) => name)).toSorted();
  for (const file of files) {
    await run("dpkg-deb", ["--extract", `${work}/${file}`, tree], { timeoutMs: 60_000 });
  }
  await Deno.remove(work, { recursive: true });
}

/** Files of 1 KiB to 2 MiB, two thirds words and one third noise: about 2.5 to 1. */
async function writeData(tree: string): Promise<void> {
  let state: number = data.seed;
  const random = () => state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  const letters = "abcdefghijklmnopqrstuvwxyz";
  const words = Array.from(
    { length: data.words },
    () => Array.from({ length: 3 + (random() >>> 29) }, () => letters[(random() >>> 8) % 26]),
  ).map((word) => new TextEncoder().encode(`${word.join("")} `));
  for (let written = 0, index = 0; written < data.bytes; index++) {
    const size = 1024 << ((random() >>> 16) % 12);
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size;) {
      if (index % 3 === 0) bytes[at++] = random() >>> 16;
      else {
        const word = words[(random() >>> 12) % words.length]!.subarray(0, size - at);
        bytes.set(word, at);
        at += word.length;
      }
    }
    const parent = `${tree}/srv/data/${index % 50}`;
    await Deno.mkdir(parent, { recursive: true });
    await Deno.writeFile(`${parent}/${index}`, bytes);
    written += size;
  }
}

async function writeManifest(layoutDir: string, layers: readonly Layer[]): Promise<void> {
  const put = async (value: unknown) => {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    await Deno.writeFile(`${layoutDir}/blobs/${digest.replace(":", "/")}`, bytes);
    return { digest, size: bytes.length };
  };
  const config = await put({
    created: "2020-01-01T00:00:00Z",
    ...{ architecture: "amd64", os: "linux", config: {} },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  });
  const type = `${mediaType}.manifest.v1+json`;
  const manifest = await put({
    ...{ schemaVersion: 2, mediaType: type },
    config: { mediaType: `${mediaType}.config.v1+json`, ...config },
    layers: layers.map(({ digest, storedBytes }) => (
      { mediaType: `${mediaType}.layer.v1.tar+gzip`, digest, size: storedBytes }
    )),
  });
  await Deno.writeTextFile(`${layoutDir}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
  await Deno.writeTextFile(
    `${layoutDir}/index.json`,
    JSON.stringify({
      schemaVersion: 2,
      manifests: [{
        ...{ mediaType: type, ...manifest },
        annotations: { "org.opencontainers.image.ref.name": "bench" },
      }],
    }),
  );
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  const buffer = new Uint8Array(1 << 20);
  for (let n = await file.read(buffer); n !== null; n = await file.read(buffer)) {
    hash.update(buffer.subarray(0, n));
  }
  return `sha256:${hash.digest("hex")}`;
}
