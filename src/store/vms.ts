import type { DatabaseSync, StatementSync } from "node:sqlite";
import { BangerError } from "../model/errors.ts";
import type { VmId } from "../model/ids.ts";
import { type VmRecord, type VmRuntime, vmStates } from "../model/vm.ts";
import { integer, integerOrNull, jsonOrNull, oneOf, type Row, text, textOrNull } from "./row.ts";
import { toJson } from "./row.ts";
import { isUniqueViolation, storeFailure } from "./store_failure.ts";

/** What may change in a VM's row after it was inserted. */
export type VmChanges = Partial<Omit<VmRecord, "id" | "createdAtMs">>;

/** How many changes {@linkcode Vms.changedSince} knows at least; of more a reader reads all rows. */
const rememberedChanges = 1024;

/** The VMs' rows. The VM service changes one only under its `vm` lock. */
export class Vms {
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #delete: StatementSync;
  readonly #byId: StatementSync;
  readonly #byName: StatementSync;
  readonly #byPrefix: StatementSync;
  readonly #all: StatementSync;
  /** Ids of the rows that the last changes were to, the newest last. */
  #changes: VmId[] = [];
  /** Changes since the start that are no longer in `#changes`. */
  #forgotten = 0;

  constructor(db: DatabaseSync) {
    this.#insert = db.prepare(`
      INSERT INTO vms VALUES (:id, :name, :image, :image_digest, :kernel, :kernel_digest, :cpus,
        :memory_mib, :disk_bytes, :state, :failure, :ephemeral, :workspace, :created_at_ms,
        :started_at_ms, :runtime, :labels, :image_defaults, :auto_stop_ms,
        :work_disk_bytes, :command, :published, :auto_ports)`);
    this.#update = db.prepare(`
      UPDATE vms SET name = :name, image = :image, image_digest = :image_digest,
        kernel = :kernel, kernel_digest = :kernel_digest, cpus = :cpus, memory_mib = :memory_mib,
        disk_bytes = :disk_bytes, state = :state, failure = :failure, ephemeral = :ephemeral,
        workspace = :workspace, created_at_ms = :created_at_ms, started_at_ms = :started_at_ms,
        runtime = :runtime, labels = :labels, image_defaults = :image_defaults,
        auto_stop_ms = :auto_stop_ms, work_disk_bytes = :work_disk_bytes,
        command = :command, published = :published, auto_ports = :auto_ports
        WHERE id = :id`);
    this.#delete = db.prepare("DELETE FROM vms WHERE id = ?");
    this.#byId = db.prepare("SELECT * FROM vms WHERE id = ?");
    this.#byName = db.prepare("SELECT * FROM vms WHERE name = ?");
    this.#byPrefix = db.prepare("SELECT * FROM vms WHERE id >= ? AND id < ? LIMIT 2");
    this.#all = db.prepare("SELECT * FROM vms ORDER BY created_at_ms, id");
  }

  /** Grows with every change: tells whether something derived from the rows is still right. */
  get revision(): number {
    return this.#forgotten + this.#changes.length;
  }

  /**
   * The VMs whose rows were inserted, changed or deleted since `revision`; `undefined` when that is
   * so long ago that any may have been.
   */
  changedSince(revision: number): ReadonlySet<VmId> | undefined {
    if (revision < this.#forgotten) return undefined;
    return new Set(this.#changes.slice(revision - this.#forgotten));
  }

  /** @throws BangerError `conflict` when the name is taken */
  insert(vm: VmRecord): void {
    this.#write(this.#insert, vm);
  }

  /**
   * Changes the row of `id` and answers it as it is now.
   *
   * @throws BangerError `not_found`; `conflict` when a new name is taken
   */
  update(id: VmId, changes: VmChanges): VmRecord {
    const vm = { ...this.get(id), ...changes };
    this.#write(this.#update, vm);
    return vm;
  }

  /** Whether there was one. */
  delete(id: VmId): boolean {
    this.#changed(id);
    try {
      return this.#delete.run(id).changes !== 0;
    } catch (cause) {
      throw storeFailure("change the store", cause);
    }
  }

  /** @throws BangerError `not_found` */
  get(id: VmId): VmRecord {
    return this.find(id) ?? missing(id);
  }

  find(id: VmId): VmRecord | undefined {
    return toVm(this.#byId.get(id));
  }

  findByName(name: string): VmRecord | undefined {
    return toVm(this.#byName.get(name));
  }

  /**
   * The VM that a user means: by name, by id, or by a unique prefix (4 or more digits) of an id.
   *
   * @throws BangerError `not_found`, or `invalid` when the prefix is not unique
   */
  resolve(ref: string): VmRecord {
    const exact = this.findByName(ref);
    if (exact !== undefined) return exact;
    if (!/^[0-9a-f]{4,16}$/.test(ref)) return missing(ref);
    const [first, second] = this.#byPrefix.all(ref, `${ref}g`);
    if (second !== undefined) {
      throw new BangerError("invalid", `Cannot find VM "${ref}": several ids start with it`, {
        hint: "Give more digits, or the name; banger vm list shows both",
      });
    }
    return toVm(first) ?? missing(ref);
  }

  /** Oldest first. */
  list(): VmRecord[] {
    return this.#all.all().map(vmOfRow);
  }

  /** As {@linkcode list}, one at a time; the store must not be used before the end. */
  *each(): Iterable<VmRecord> {
    for (const row of this.#all.iterate()) yield vmOfRow(row);
  }

  #changed(id: VmId): void {
    if (this.#changes.length >= 2 * rememberedChanges) {
      this.#forgotten += rememberedChanges;
      this.#changes = this.#changes.slice(rememberedChanges);
    }
    this.#changes.push(id);
  }

  #write(statement: StatementSync, vm: VmRecord): void {
    this.#changed(vm.id);
    try {
      statement.run({
        id: vm.id,
        name: vm.config.name,
        image: vm.config.image,
        image_digest: vm.imageDigest,
        kernel: vm.config.kernel,
        kernel_digest: vm.kernelDigest,
        cpus: vm.config.cpus,
        memory_mib: vm.config.memoryMib,
        disk_bytes: vm.config.diskBytes,
        state: vm.state,
        failure: vm.failure,
        ephemeral: vm.ephemeral ? 1 : 0,
        workspace: vm.workspace,
        created_at_ms: vm.createdAtMs,
        started_at_ms: vm.startedAtMs,
        runtime: toJson(vm.runtime),
        labels: JSON.stringify(vm.labels),
        image_defaults: vm.imageDefaults ? 1 : 0,
        auto_stop_ms: vm.autoStopMs,
        work_disk_bytes: vm.config.workDiskBytes,
        command: toJson(vm.command),
        published: JSON.stringify(vm.published),
        auto_ports: vm.autoPorts ? 1 : 0,
      });
    } catch (cause) {
      if (!isUniqueViolation(cause)) throw storeFailure("change the store", cause);
      const name = vm.config.name;
      throw new BangerError("conflict", `Cannot use VM name "${name}": it is taken`, {
        hint: `Choose another name, or remove the other one: banger vm delete ${name}`,
        cause,
      });
    }
  }
}

function missing(ref: string): never {
  throw new BangerError("not_found", `Cannot find VM "${ref}": there is none`, {
    hint: "banger vm list shows all",
  });
}

function toVm(row: Row | undefined): VmRecord | undefined {
  return row === undefined ? undefined : vmOfRow(row);
}

function vmOfRow(row: Row): VmRecord {
  return {
    id: text(row, "id") as VmId,
    config: {
      name: text(row, "name"),
      image: text(row, "image"),
      kernel: text(row, "kernel"),
      cpus: integer(row, "cpus"),
      memoryMib: integer(row, "memory_mib"),
      diskBytes: integer(row, "disk_bytes"),
      workDiskBytes: integer(row, "work_disk_bytes"),
    },
    state: oneOf(row, "state", vmStates),
    failure: textOrNull(row, "failure"),
    ephemeral: integer(row, "ephemeral") === 1,
    createdAtMs: integer(row, "created_at_ms"),
    startedAtMs: integerOrNull(row, "started_at_ms"),
    runtime: jsonOrNull<VmRuntime>(row, "runtime"),
    workspace: textOrNull(row, "workspace"),
    imageDefaults: integer(row, "image_defaults") === 1,
    imageDigest: text(row, "image_digest"),
    kernelDigest: text(row, "kernel_digest"),
    labels: jsonOrNull<VmRecord["labels"]>(row, "labels") ?? {},
    autoStopMs: integerOrNull(row, "auto_stop_ms"),
    command: jsonOrNull<string[]>(row, "command"),
    published: jsonOrNull<VmRecord["published"]>(row, "published") ?? [],
    autoPorts: integer(row, "auto_ports") === 1,
  };
}
