import type { DatabaseSync } from "node:sqlite";
import { kernelFormats, type KernelRecord, type Publication } from "../model/artefacts.ts";
import { ArtefactRows } from "./artefact_rows.ts";
import { integer, jsonOrNull, oneOf, type Row, text, textOrNull, toJson } from "./row.ts";

/** The kernels' rows. */
export class Kernels extends ArtefactRows<KernelRecord> {
  constructor(db: DatabaseSync) {
    super(db, { table: "kernels", noun: "kernel", toColumns, fromRow });
  }
}

function toColumns(kernel: KernelRecord) {
  return {
    version: kernel.version,
    format: kernel.format,
    command_line: toJson(kernel.commandLine),
    source: kernel.source,
    source_reason: kernel.sourceReason,
    publication: toJson(kernel.publication),
    arch: kernel.arch,
    disk_bytes: kernel.diskBytes,
    created_at_ms: kernel.createdAtMs,
    vmlinux_path: kernel.vmlinuxPath,
    initrd_path: kernel.initrdPath,
    modules_path: kernel.modulesPath,
    probe_initrd_path: kernel.probeInitrdPath,
  };
}

function fromRow(row: Row): KernelRecord {
  return {
    name: text(row, "name"),
    digest: text(row, "digest"),
    version: text(row, "version"),
    format: oneOf(row, "format", kernelFormats),
    commandLine: jsonOrNull<string[]>(row, "command_line") ?? [],
    source: text(row, "source"),
    sourceReason: textOrNull(row, "source_reason"),
    publication: jsonOrNull<Publication>(row, "publication"),
    arch: oneOf(row, "arch", ["x86_64", "aarch64"]),
    createdAtMs: integer(row, "created_at_ms"),
    diskBytes: integer(row, "disk_bytes"),
    vmlinuxPath: text(row, "vmlinux_path"),
    initrdPath: textOrNull(row, "initrd_path"),
    modulesPath: textOrNull(row, "modules_path"),
    probeInitrdPath: textOrNull(row, "probe_initrd_path"),
  };
}
