import type { DatabaseSync } from "node:sqlite";
import type { ImageRecord, ImageRun, Publication, WorkSeed } from "../model/artefacts.ts";
import { ArtefactRows } from "./artefact_rows.ts";
import { integer, jsonOrNull, oneOf, type Row, text, textOrNull, toJson } from "./row.ts";

/** The images' rows. */
export class Images extends ArtefactRows<ImageRecord> {
  constructor(db: DatabaseSync) {
    super(db, { table: "images", noun: "image", toColumns, fromRow });
  }
}

function toColumns(image: ImageRecord) {
  return {
    source: image.source,
    source_reason: image.sourceReason,
    publication: toJson(image.publication),
    arch: image.arch,
    kernel: image.kernel,
    virtual_bytes: image.virtualBytes,
    disk_bytes: image.diskBytes,
    created_at_ms: image.createdAtMs,
    managed: image.managed ? 1 : 0,
    rootfs_path: image.rootfsPath,
    work_seed: toJson(image.workSeed),
    run: image.run === null ? null : toJson(image.run),
    blobs: toJson(image.blobs),
  };
}

function fromRow(row: Row): ImageRecord {
  return {
    name: text(row, "name"),
    digest: text(row, "digest"),
    source: text(row, "source"),
    sourceReason: textOrNull(row, "source_reason"),
    publication: jsonOrNull<Publication>(row, "publication"),
    arch: oneOf(row, "arch", ["x86_64", "aarch64"]),
    kernel: text(row, "kernel"),
    virtualBytes: integer(row, "virtual_bytes"),
    diskBytes: integer(row, "disk_bytes"),
    createdAtMs: integer(row, "created_at_ms"),
    managed: integer(row, "managed") === 1,
    rootfsPath: text(row, "rootfs_path"),
    workSeed: jsonOrNull<WorkSeed>(row, "work_seed"),
    run: jsonOrNull<ImageRun>(row, "run"),
    blobs: jsonOrNull<string[]>(row, "blobs") ?? [],
  };
}
