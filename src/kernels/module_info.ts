import { BangerError } from "../model/errors.ts";

/** What a kernel module says about itself in its `.modinfo` section. */
export interface ModuleInfo {
  /** Modules whose symbols it uses, as names (`virtio_ring`), unordered and not transitive. */
  readonly depends: readonly string[];
  /** Modules that its author wants loaded before it when they exist (`softdep=pre: …`). */
  readonly softDepends: readonly string[];
  /** The `softdep` values as they stand. */
  readonly softDependLines: readonly string[];
  /** The bus patterns and names under which it is asked for (`acpi*:LNRO0005:*`, `fs-ext4`). */
  readonly aliases: readonly string[];
}

const elf64Little = [0x7f, 0x45, 0x4c, 0x46, 2, 1];
const sectionHeaderBytes = 64;
const maxSections = 4096;

/**
 * Reads the `.modinfo` section of a 64-bit little-endian ELF module (`elf(5)`; the kernel's
 * include/linux/moduleinfo.h and scripts/mod/modpost.c write it as NUL-separated `key=value`).
 *
 * @param label how errors name the file
 * @throws BangerError `untrusted` when it is not such a module
 */
export function readModuleInfo(bytes: Uint8Array, label: string): ModuleInfo {
  const depends: string[] = [];
  const softDependLines: string[] = [];
  const aliases: string[] = [];
  for (const [key, value] of pairs(section(bytes, ".modinfo", label))) {
    if (key === "alias") aliases.push(value);
    else if (key === "depends") depends.push(...value.split(",").filter((name) => name !== ""));
    else if (key === "softdep") softDependLines.push(value);
  }
  return {
    depends: depends.map(moduleName),
    softDepends: softDependLines.flatMap(preNames).map(moduleName),
    softDependLines,
    aliases,
  };
}

/** The canonical name of a module: `-` and `_` are the same to the kernel. */
export function moduleName(name: string): string {
  return name.replaceAll("-", "_");
}

/** The names between `pre:` and `post:` of a `softdep` value. */
function preNames(value: string): string[] {
  const match = /(?:^|\s)pre:\s*(.*?)(?:\s*post:.*)?$/.exec(value);
  return match?.[1] === undefined ? [] : match[1].split(/\s+/).filter((name) => name !== "");
}

function pairs(bytes: Uint8Array): [string, string][] {
  const text = new TextDecoder("latin1").decode(bytes);
  return text.split("\0").flatMap((line): [string, string][] => {
    const equals = line.indexOf("=");
    return equals < 0 ? [] : [[line.slice(0, equals), line.slice(equals + 1)]];
  });
}

/** The bytes of the section `name`; empty when there is none. */
function section(bytes: Uint8Array, name: string, label: string): Uint8Array {
  const fail = (why: string) =>
    new BangerError("untrusted", `Cannot read module "${label}": ${why}`);
  if (bytes.length < 64 || elf64Little.some((byte, index) => bytes[index] !== byte)) {
    throw fail("not a 64-bit ELF file");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tableOffset = Number(view.getBigUint64(40, true));
  const entryBytes = view.getUint16(58, true);
  const count = view.getUint16(60, true);
  const namesIndex = view.getUint16(62, true);
  const tableEnd = tableOffset + count * sectionHeaderBytes;
  if (entryBytes !== sectionHeaderBytes || count > maxSections || tableEnd > bytes.length) {
    throw fail("its section table is damaged");
  }
  const contents = (index: number): Uint8Array => {
    const header = tableOffset + index * sectionHeaderBytes;
    const offset = Number(view.getBigUint64(header + 24, true));
    const size = Number(view.getBigUint64(header + 32, true));
    if (offset + size > bytes.length) throw fail("a section ends behind the file");
    return bytes.subarray(offset, offset + size);
  };
  if (namesIndex >= count) throw fail("its section names are missing");
  const names = contents(namesIndex);
  for (let index = 0; index < count; index++) {
    const start = view.getUint32(tableOffset + index * sectionHeaderBytes, true);
    if (textAt(names, start) === name) return contents(index);
  }
  return new Uint8Array(0);
}

function textAt(bytes: Uint8Array, start: number): string {
  const end = bytes.indexOf(0, start);
  return new TextDecoder("latin1").decode(bytes.subarray(start, end < 0 ? bytes.length : end));
}
