/** One step of the store's schema; `version` is `user_version` afterwards. Never edited once released. */
export interface Migration {
  readonly version: number;
  readonly summary: string;
  readonly sql: string;
}

/** All steps in order. Times are milliseconds since the epoch, sizes bytes unless named otherwise. */
export const migrations: readonly Migration[] = [
  {
    version: 1,
    summary: "VMs, images, kernels and operations",
    sql: `
      CREATE TABLE vms (
        id TEXT PRIMARY KEY CHECK (length(id) = 16),
        name TEXT NOT NULL UNIQUE,
        image TEXT NOT NULL,
        image_digest TEXT NOT NULL,
        kernel TEXT NOT NULL,
        kernel_digest TEXT NOT NULL,
        cpus INTEGER NOT NULL,
        memory_mib INTEGER NOT NULL,
        disk_bytes INTEGER NOT NULL,
        state TEXT NOT NULL,
        failure TEXT,
        ephemeral INTEGER NOT NULL CHECK (ephemeral IN (0, 1)),
        workspace TEXT,
        created_at_ms INTEGER NOT NULL,
        started_at_ms INTEGER,
        runtime TEXT
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE images (
        name TEXT NOT NULL,
        digest TEXT NOT NULL,
        current INTEGER NOT NULL CHECK (current IN (0, 1)),
        source TEXT NOT NULL,
        arch TEXT NOT NULL,
        kernel TEXT NOT NULL,
        virtual_bytes INTEGER NOT NULL,
        disk_bytes INTEGER NOT NULL,
        created_at_ms INTEGER NOT NULL,
        managed INTEGER NOT NULL CHECK (managed IN (0, 1)),
        rootfs_path TEXT NOT NULL,
        PRIMARY KEY (name, digest)
      ) STRICT, WITHOUT ROWID;
      CREATE UNIQUE INDEX images_current ON images (name) WHERE current = 1;
      CREATE TABLE kernels (
        name TEXT NOT NULL,
        digest TEXT NOT NULL,
        current INTEGER NOT NULL CHECK (current IN (0, 1)),
        version TEXT NOT NULL,
        source TEXT NOT NULL,
        arch TEXT NOT NULL,
        disk_bytes INTEGER NOT NULL,
        created_at_ms INTEGER NOT NULL,
        vmlinux_path TEXT NOT NULL,
        initrd_path TEXT,
        modules_path TEXT,
        probe_initrd_path TEXT,
        PRIMARY KEY (name, digest)
      ) STRICT, WITHOUT ROWID;
      CREATE UNIQUE INDEX kernels_current ON kernels (name) WHERE current = 1;
      CREATE TABLE operations (
        id TEXT PRIMARY KEY CHECK (length(id) = 16),
        method TEXT NOT NULL,
        subject TEXT NOT NULL,
        state TEXT NOT NULL,
        started_at_ms INTEGER NOT NULL,
        finished_at_ms INTEGER,
        stages TEXT NOT NULL,
        notices TEXT NOT NULL,
        result TEXT,
        error TEXT
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX operations_started ON operations (started_at_ms);
    `,
  },
  {
    version: 2,
    summary: "images of registries: how programs run in them, and their blobs",
    sql: `
      ALTER TABLE images ADD COLUMN run TEXT;
      ALTER TABLE images ADD COLUMN blobs TEXT NOT NULL DEFAULT '[]';
    `,
  },
  {
    version: 3,
    summary: "images and kernels of a catalog: why from there, who published them, and how",
    sql: `
      ALTER TABLE images ADD COLUMN source_reason TEXT;
      ALTER TABLE images ADD COLUMN publication TEXT;
      ALTER TABLE kernels ADD COLUMN source_reason TEXT;
      ALTER TABLE kernels ADD COLUMN publication TEXT;
      ALTER TABLE kernels ADD COLUMN format TEXT NOT NULL DEFAULT 'bzImage';
      ALTER TABLE kernels ADD COLUMN command_line TEXT NOT NULL DEFAULT '[]';
      UPDATE kernels SET format = 'Image' WHERE arch = 'aarch64';
    `,
  },
  {
    version: 4,
    summary: "labels of VMs",
    sql: `ALTER TABLE vms ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';`,
  },
  {
    version: 5,
    summary: "VMs without their image's defaults; workspaces of before are root's",
    sql: `
      ALTER TABLE vms ADD COLUMN image_defaults INTEGER NOT NULL DEFAULT 1
        CHECK (image_defaults IN (0, 1));
      UPDATE vms SET image_defaults = 0 WHERE workspace IS NOT NULL;
    `,
  },
  {
    version: 6,
    summary: "when VMs stop by themselves",
    sql: `ALTER TABLE vms ADD COLUMN auto_stop_ms INTEGER;`,
  },
  {
    version: 7,
    summary: "work disks; VMs of before have none",
    sql: `ALTER TABLE vms ADD COLUMN work_disk_bytes INTEGER NOT NULL DEFAULT 0;`,
  },
  {
    version: 8,
    summary: "what work disks of an image begin with",
    sql: `ALTER TABLE images ADD COLUMN work_seed TEXT;`,
  },
  {
    version: 9,
    summary: "what VMs run without a command",
    sql: `ALTER TABLE vms ADD COLUMN command TEXT;`,
  },
  {
    version: 10,
    summary: "published ports of VMs",
    sql: `
      ALTER TABLE vms ADD COLUMN published TEXT NOT NULL DEFAULT '[]';
      ALTER TABLE vms ADD COLUMN auto_ports INTEGER NOT NULL DEFAULT 0
        CHECK (auto_ports IN (0, 1));
    `,
  },
];
