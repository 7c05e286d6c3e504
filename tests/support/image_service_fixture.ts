import type { CatalogEntry, CatalogKind } from "../../src/catalog/catalog.ts";
import { examineRootfs } from "../../src/images/examine_rootfs.ts";
import type { ImageRecord, KernelRecord, Publication } from "../../src/model/artefacts.ts";
import type { StageReporter } from "../../src/model/stages.ts";
import { ensurePrivateDir } from "../../src/paths/ensure_dir.ts";
import { Paths } from "../../src/paths/paths.ts";
import type { ArtefactStore, ImageServiceDeps, VmUses } from "../../src/services/image/contract.ts";
import { Locks } from "../../src/sync/locks.ts";

/** Rows in memory, as `src/store` keeps them on disk. */
export function memoryStore<
  T extends { readonly name: string; readonly digest: string },
>(): ArtefactStore<T> {
  let rows: { readonly record: T; current: boolean }[] = [];
  const all = (current: boolean) =>
    rows.filter((row) => row.current === current).map((row) => row.record);
  return {
    list: () => all(true),
    listSuperseded: () => all(false),
    find: (name) => all(true).find((record) => record.name === name),
    findByDigest: (digest) => rows.map((row) => row.record).find((it) => it.digest === digest),
    publish: (record) => {
      for (const row of rows) if (row.record.name === record.name) row.current = false;
      rows = rows.filter(({ record: { name, digest } }) =>
        name !== record.name || digest !== record.digest
      );
      rows.push({ record, current: true });
    },
    delete: (name, digest) => {
      const before = rows.length;
      rows = rows.filter(({ record }) => record.name !== name || record.digest !== digest);
      return rows.length !== before;
    },
  };
}

/** A reporter that keeps `started X`, `finished X` and notices. */
export function recordingReporter(): StageReporter & { readonly events: string[] } {
  const events: string[] = [];
  return {
    events,
    notice: (text) => void events.push(text),
    stage: async (stage, body) => {
      events.push(`started ${stage.id}`);
      try {
        const result = await body(() => {});
        events.push(`finished ${stage.id}`);
        return result;
      } catch (error) {
        events.push(`failed ${stage.id}`);
        throw error;
      }
    },
  };
}

/** An entry of a catalog on loopback. */
export function catalogEntryFixture(kind: CatalogKind, name: string): CatalogEntry {
  return {
    ...{ kind, name, arch: "x86_64" },
    url: `http://127.0.0.1:1/${name}.bundle`,
    sha256: "b".repeat(64),
    size: 1,
    signatureUrl: `http://127.0.0.1:1/${name}.bundle.asc`,
    signer: "A".repeat(40),
  };
}

/** How what came from a catalog was published. */
export const publicationFixture: Publication = {
  bundle: `sha256:${"b".repeat(64)}`,
  signer: "A".repeat(40),
  madeAtMs: 1_767_225_600_000,
};

/** What a small VM was made with, but for its image and kernel. */
export const vmConfigFixture = {
  name: "web",
  cpus: 1,
  memoryMib: 512,
  diskBytes: 1,
  workDiskBytes: 0,
} as const;

/** A service's dependencies over a fresh directory, whose sources make small files at once. */
export async function imageServiceDeps(
  overrides: Partial<ImageServiceDeps> = {},
): Promise<ImageServiceDeps & AsyncDisposable & { readonly root: string }> {
  const root = await Deno.makeTempDir({ prefix: "banger-test-" });
  const uid = Deno.uid() ?? 0;
  const paths = new Paths({ uid, home: root });
  const { stagingDir, imagesDir, kernelsDir, kitsDir, downloadsDir } = paths;
  for (const dir of [stagingDir, imagesDir, kernelsDir, kitsDir, downloadsDir]) {
    ensurePrivateDir(dir, uid);
  }
  const vms: VmUses = { list: () => [] };
  return {
    root,
    images: memoryStore<ImageRecord>(),
    kernels: memoryStore<KernelRecord>(),
    vms,
    locks: new Locks(),
    paths,
    uid,
    arch: "x86_64",
    now: () => 1,
    newUuid: () => crypto.randomUUID(),
    randomHex: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)).toHex(),
    mirror: () => Promise.resolve("http://mirror.test/debian"),
    keyring: "/keyring.gpg",
    proxyEnv: {},
    buildImage: async ({ recipe, uuid, stagingDir }) => {
      const rootfsPath = `${stagingDir}/rootfs.ext4`;
      const manifest = `packages of ${uuid}\n`;
      await Deno.writeTextFile(rootfsPath, uuid);
      await Deno.writeTextFile(`${stagingDir}/manifest`, manifest);
      const digest = `sha256:${uuid.replaceAll("-", "").repeat(2)}`;
      return { rootfsPath, digest, virtualBytes: recipe.virtualBytes, diskBytes: 4096, manifest };
    },
    registry: {
      with: () => Promise.reject(new Error("no registry is at hand")),
      withLocal: () => Promise.reject(new Error("no files are at hand")),
      makeWorkSeed: () => Promise.reject(new Error("no flattener is at hand")),
      drop: () => Promise.resolve(),
      prune: () => Promise.resolve({ removed: 0, bytes: 0 }),
      sizes: () => Promise.resolve(new Map()),
      collect: () => Promise.resolve(),
    },
    catalog: {
      source: "catalog:built-in",
      load: () => Promise.resolve({ source: "the built-in catalog", entries: [] }),
      forget: () => {},
      pull: () => Promise.reject(new Error("no bundle is at hand")),
      refit: () => Promise.reject(new Error("no kernel of a catalog is here")),
    },
    rootfsFile: (path) => examineRootfs(path),
    kernelSource: {
      names: { "debian-6.1-cloud": { suite: "bookworm" } },
      revision: () => Promise.resolve("1"),
      pull: async (_, { stagingDir }) => {
        await Deno.writeTextFile(`${stagingDir}/vmlinux`, "kernel");
        await Deno.writeTextFile(`${stagingDir}/initrd.img`, "initrd");
        const digest = `sha256:${"5".repeat(64)}`;
        const files = {
          vmlinux: "vmlinux",
          initrd: "initrd.img",
          modules: null,
          probeInitrd: null,
        };
        return { version: "6.1.0", digest, ...files };
      },
    },
    kitSource: {
      suite: "bookworm",
      key: () => Promise.resolve("key"),
      build: async ({ stagingDir }) => {
        await Deno.writeTextFile(`${stagingDir}/kit-1.ext4`, "kit");
        return { file: "kit-1.ext4" };
      },
    },
    ...overrides,
    [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }),
  };
}
