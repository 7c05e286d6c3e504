import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { OperationView } from "../api/operation.ts";
import type { ImageRecord } from "../model/artefacts.ts";
import { isBangerError } from "../model/errors.ts";
import type { VmId } from "../model/ids.ts";
import type { VmRecord } from "../model/vm.ts";
import { migrations } from "./migrations.ts";
import { Store, type StoreLocation } from "./store.ts";

function location(dir: string): StoreLocation {
  return {
    storeFile: `${dir}/store.db`,
    storeBackup: (version) => `${dir}/store.db.bak-${version}`,
  };
}

function inTempDir(body: (at: StoreLocation, dir: string) => void): () => void {
  return () => {
    const dir = Deno.makeTempDirSync();
    try {
      body(location(dir), dir);
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  };
}

const vm: VmRecord = {
  id: "0123456789abcdef" as VmId,
  config: {
    name: "web",
    image: "debian-bookworm",
    kernel: "debian-6.1-cloud",
    cpus: 2,
    memoryMib: 2048,
    diskBytes: 8 * 1024 ** 4,
    workDiskBytes: 2 * 1024 ** 4,
  },
  state: "created",
  failure: null,
  ephemeral: true,
  createdAtMs: 1_763_640_000_000,
  startedAtMs: null,
  runtime: null,
  workspace: "repo",
  imageDefaults: true,
  imageDigest: "sha256:aa",
  kernelDigest: "sha256:bb",
  labels: { team: "web" },
  autoStopMs: null,
  command: ["npm", "start"],
  published: [{ hostPort: 8080, guestPort: 80 }],
  autoPorts: true,
};

const image: ImageRecord = {
  name: "debian-bookworm",
  digest: "sha256:one",
  source: "debian-archive:bookworm",
  arch: "x86_64",
  kernel: "debian-6.1-cloud",
  virtualBytes: 1,
  diskBytes: 2,
  createdAtMs: 3,
  managed: true,
  sourceReason: null,
  publication: null,
  rootfsPath: "/x",
  workSeed: { digest: "sha256:77", path: "/x/seed", virtualBytes: 9 },
  run: { env: ["A=b"], workingDir: "/w", user: "u", entrypoint: [], cmd: ["sh"] },
  blobs: ["sha256:0"],
};

Deno.test(
  "a VM comes back as it was put in, also after the store was opened again",
  inTempDir((at) => {
    const runtime = {
      vmm: "qemu",
      accelerator: "tcg",
      sshPort: 2222,
      readyAfterMs: 4321,
    } as const;
    {
      using store = Store.open(at);
      store.vms.insert(vm);
      assert.deepEqual(store.vms.get(vm.id), vm);
      const revision = store.vms.revision;
      store.vms.update(vm.id, { state: "running", runtime, startedAtMs: 5 });
      assert.ok(store.vms.revision > revision);
      assert.deepEqual(store.vms.changedSince(revision), new Set([vm.id]));
      assert.deepEqual(store.vms.changedSince(store.vms.revision), new Set());
    }
    using store = Store.open(at);
    assert.deepEqual(store.vms.list(), [{ ...vm, state: "running", runtime, startedAtMs: 5 }]);
    assert.deepEqual([...store.vms.each()], store.vms.list());
    assert.deepEqual(store.vms.changedSince(0), new Set());
    assert.equal(store.vms.delete(vm.id), true);
    assert.deepEqual(store.vms.changedSince(0), new Set([vm.id]));
    assert.equal(store.vms.delete(vm.id), false);
    assert.throws(() => store.vms.get(vm.id), (e) => isBangerError(e, "not_found"));
  }),
);

Deno.test(
  "what changed is remembered for a thousand changes at least, not for ever",
  inTempDir((at) => {
    using store = Store.open(at);
    store.vms.insert(vm);
    store.transaction(() => {
      for (let n = 1; n < 5000; n++) {
        const before = store.vms.revision;
        store.vms.update(vm.id, { startedAtMs: n });
        assert.equal(store.vms.revision, before + 1);
        assert.deepEqual(store.vms.changedSince(before), new Set([vm.id]));
        if (n >= 1024) assert.ok(store.vms.changedSince(before - 1023) !== undefined, String(n));
      }
    });
    assert.equal(store.vms.changedSince(0), undefined);
    assert.equal(store.vms.changedSince(store.vms.revision - 2049), undefined);
  }),
);

Deno.test(
  "a taken name is a conflict, and the transaction around it leaves nothing",
  inTempDir((at) => {
    using store = Store.open(at);
    store.vms.insert(vm);
    const second = { ...vm, id: "0123456789abcd00" as VmId };
    assert.throws(
      () =>
        store.transaction(() => {
          store.vms.insert({ ...second, config: { ...vm.config, name: "other" } });
          store.vms.insert({ ...second, id: "0123456789abcd01" as VmId });
        }),
      (e) => isBangerError(e, "conflict"),
    );
    assert.equal(store.vms.list().length, 1);
  }),
);

Deno.test(
  "a VM is found by name, id and unique prefix only",
  inTempDir((at) => {
    using store = Store.open(at);
    store.vms.insert(vm);
    store.vms.insert({
      ...vm,
      id: "01234567ffffffff" as VmId,
      config: { ...vm.config, name: "db" },
    });
    assert.equal(store.vms.resolve("web").id, vm.id);
    assert.equal(store.vms.resolve("012345678").id, vm.id);
    assert.equal(store.vms.resolve(vm.id).id, vm.id);
    assert.throws(() => store.vms.resolve("01234567"), (e) => isBangerError(e, "invalid"));
    assert.throws(() => store.vms.resolve("012"), (e) => isBangerError(e, "not_found"));
    assert.throws(() => store.vms.resolve("x' OR 1"), (e) => isBangerError(e, "not_found"));
  }),
);

Deno.test(
  "a newer image supersedes the older one, which stays findable by digest",
  inTempDir((at) => {
    using store = Store.open(at);
    store.images.publish(image);
    store.images.publish({ ...image, digest: "sha256:two" });
    assert.equal(store.images.get("debian-bookworm").digest, "sha256:two");
    assert.deepEqual(store.images.findByDigest("sha256:one"), image);
    assert.equal(store.images.list().length, 1);
    assert.deepEqual(store.images.listSuperseded(), [image]);
    store.transaction(() => store.images.publish(image));
    assert.equal(store.images.get("debian-bookworm").digest, "sha256:one");
    assert.equal(store.images.delete("debian-bookworm", "sha256:two"), true);
    assert.deepEqual(store.images.listSuperseded(), []);
    assert.throws(() => store.images.get("x"), (e) => isBangerError(e, "not_found"));
  }),
);

Deno.test(
  "kernels keep their optional paths",
  inTempDir((at) => {
    using store = Store.open(at);
    const kernel = {
      name: "k",
      digest: "sha256:k",
      version: "6.1",
      format: "vmlinux",
      commandLine: ["quiet", "a=1"],
      source: "catalog:built-in",
      sourceReason: "it is there",
      publication: { bundle: "sha256:b", signer: "A".repeat(40), madeAtMs: 3 },
      arch: "x86_64",
      createdAtMs: 1,
      diskBytes: 2,
      vmlinuxPath: "/v",
      initrdPath: null,
      modulesPath: "/m",
      probeInitrdPath: null,
    } as const;
    store.kernels.publish(kernel);
    assert.deepEqual(store.kernels.list(), [kernel]);
  }),
);

Deno.test(
  "operations are saved, pruned, and marked when a daemon left them running",
  inTempDir((at) => {
    using store = Store.open(at);
    const operation = (n: number, state: OperationView["state"]): OperationView => ({
      id: n.toString(16).padStart(16, "0"),
      method: "vm.create",
      subject: "web",
      state,
      startedAtMs: n,
      finishedAtMs: null,
      stages: [{ id: "a", title: "A", startedAfterMs: 0, tookMs: 1, outcome: "done" }],
      notices: ["n"],
      result: { vm: 1 },
      error: null,
    });
    for (let n = 1; n <= 10; n++) store.operations.save(operation(n, "succeeded"));
    store.operations.save(operation(11, "running"));
    assert.deepEqual(store.operations.find("000000000000000b"), operation(11, "running"));
    const error = { kind: "unavailable", message: "m", hint: null, detail: null, code: null };
    assert.equal(store.operations.failInterrupted(20, { ...error, kind: "unavailable" }), 1);
    assert.equal(store.operations.find("000000000000000b")?.error?.message, "m");
    assert.equal(store.operations.prune(3, 5), 6);
    assert.deepEqual(store.operations.list(9).map((o) => o.startedAtMs), [11, 10, 9, 8, 7]);
  }),
);

Deno.test(
  "a damaged store is named and not changed",
  inTempDir((at) => {
    const garbage = crypto.getRandomValues(new Uint8Array(8192));
    Deno.writeFileSync(at.storeFile, garbage);
    assert.throws(() => Store.open(at), (e) => {
      assert.ok(isBangerError(e, "precondition"));
      assert.ok(e.message.includes(at.storeFile));
      assert.ok(e.hint?.includes("mv"));
      return e.code === "STORE_DAMAGED";
    });
    assert.deepEqual(Deno.readFileSync(at.storeFile), garbage);
  }),
);

Deno.test(
  "a store with a damaged page is refused, with the backup named when there is one",
  inTempDir((at) => {
    {
      using store = Store.open(at);
      for (let n = 0; n < 200; n++) {
        const id = n.toString(16).padStart(16, "0") as VmId;
        store.vms.insert({ ...vm, id, config: { ...vm.config, name: `vm-${n}` } });
      }
    }
    Deno.writeTextFileSync(at.storeBackup(1), "");
    using file = Deno.openSync(at.storeFile, { read: true, write: true });
    file.seekSync(4096 * 3, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(8192).fill(0xee));
    assert.throws(() => Store.open(at), (e) => {
      assert.ok(isBangerError(e, "precondition"));
      return e.hint?.includes(at.storeBackup(1)) ?? false;
    });
  }),
);

Deno.test(
  "a store of a newer banger or of another program is refused",
  inTempDir((at, dir) => {
    Store.open(at, { migrations: [...migrations, { version: 99, summary: "later", sql: "" }] })
      .close();
    assert.throws(() => Store.open(at), /newer banger/);
    const other = location(`${dir}/other`);
    Deno.mkdirSync(`${dir}/other`);
    const db = new DatabaseSync(other.storeFile);
    db.exec("CREATE TABLE theirs (x)");
    db.close();
    assert.throws(() => Store.open(other), /another program/);
  }),
);

Deno.test(
  "a migration keeps the rows and leaves a backup; a failing one leaves the store as it was",
  inTempDir((at) => {
    {
      using store = Store.open(at);
      store.vms.insert(vm);
    }
    const present = migrations.at(-1)!.version;
    const next = (sql: string) => [...migrations, { version: present + 1, summary: "next", sql }];
    assert.throws(() => Store.open(at, { migrations: next("CREATE TABLE a (x); NONSENSE") }));
    {
      using store = Store.open(at);
      assert.equal(store.vms.list().length, 1);
    }
    {
      using store = Store.open(at, { migrations: next("CREATE TABLE a (x)") });
      assert.equal(store.vms.list().length, 1);
    }
    const backup = new DatabaseSync(at.storeBackup(present), { readOnly: true });
    assert.equal(backup.prepare("SELECT count(*) AS n FROM vms").get()?.["n"], 1);
    backup.close();
  }),
);

Deno.test(
  "migration 5: a workspace that was copied before stays root's",
  inTempDir((at) => {
    Store.open(at).close();
    const db = new DatabaseSync(at.storeFile);
    const later = [
      ...["auto_ports", "published", "command", "work_disk_bytes", "auto_stop_ms"],
      "image_defaults",
    ];
    for (const column of later) {
      db.exec(`ALTER TABLE vms DROP COLUMN ${column}`);
    }
    db.exec("ALTER TABLE images DROP COLUMN work_seed; PRAGMA user_version = 4");
    const row = db.prepare(
      `INSERT INTO vms VALUES (:id, :id, 'i', 'sha256:aa', 'k', 'sha256:bb', 1, 512,
      1, 'stopped', NULL, 0, :workspace, 1, NULL, NULL, '{}')`,
    );
    row.run({ id: "00000000000000aa", workspace: "repo" });
    row.run({ id: "00000000000000bb", workspace: null });
    db.close();
    using store = Store.open(at);
    assert.deepEqual(store.vms.list().map((one) => one.imageDefaults), [false, true]);
    // And of migration 10: nothing is published.
    const ports = store.vms.list().map(({ published, autoPorts }) => ({ published, autoPorts }));
    assert.deepEqual(ports, Array(2).fill({ published: [], autoPorts: false }));
  }),
);

Deno.test(
  "migration 1 makes strict tables",
  inTempDir((at) => {
    Store.open(at).close();
    const db = new DatabaseSync(at.storeFile);
    const tables = db.prepare(
      "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite%'",
    ).all();
    assert.deepEqual(
      tables.map((t) => [t["name"], t["strict"]]).sort(),
      [["images", 1], ["kernels", 1], ["operations", 1], ["vms", 1]],
    );
    assert.equal(db.prepare("PRAGMA journal_mode").get()?.["journal_mode"], "wal");
    db.close();
  }),
);
