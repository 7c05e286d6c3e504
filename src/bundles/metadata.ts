import * as v from "valibot";
import type { CatalogKind } from "../catalog/catalog.ts";
import { BangerError } from "../model/errors.ts";
import { nameProblem } from "../model/names.ts";
import {
  bundleFormat,
  type BundleMetadata,
  kernelMembers,
  maxMemberBytes,
  maxMetadataBytes,
  maxStoredBytes,
  maySparse,
  memberNames,
  membersOfKind,
  metadataName,
} from "./bundle.ts";
import { bundleFault } from "./bundle_fault.ts";

const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** A word of a kernel's command line that no quoting can change. */
const word = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_.,:=\/@+-]{0,199}$/));

const memberSchema = v.strictObject({
  name: v.picklist(memberNames),
  size,
  storedSize: size,
  sparse: v.boolean(),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, "it is no SHA-256")),
});

const metadataSchema = v.strictObject({
  format: v.literal(bundleFormat),
  kind: v.picklist(["image", "kernel"]),
  name: v.string(),
  arch: v.picklist(["x86_64", "aarch64"]),
  kernel: v.strictObject({
    name: v.string(),
    version: v.pipe(v.string(), v.regex(/^[0-9][A-Za-z0-9.+~_-]{0,63}$/, "it is no version")),
    commandLine: v.pipe(v.array(word), v.maxLength(32)),
  }),
  virtualSize: v.nullable(size),
  kitKey: v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
  createdAtMs: v.pipe(size, v.maxValue(8.64e15)),
  members: v.pipe(v.array(memberSchema), v.maxLength(memberNames.length)),
});

/** The bytes of the metadata: the same for the same values. */
export function encodeMetadata(metadata: BundleMetadata): Uint8Array {
  const { format, kind, name, arch, kernel, virtualSize, kitKey, createdAtMs } = metadata;
  const members = metadata.members.map((each) => ({
    name: each.name,
    size: each.size,
    storedSize: each.storedSize,
    sparse: each.sparse,
    sha256: each.sha256,
  }));
  const { version, commandLine } = kernel;
  const ordered = {
    ...{ format, kind, name, arch, kernel: { name: kernel.name, version, commandLine } },
    ...{ virtualSize, kitKey, createdAtMs, members },
  };
  return new TextEncoder().encode(`${JSON.stringify(ordered, null, 1)}\n`);
}

/**
 * Reads and checks the metadata: every field, and that the members are those of the kind, once each
 * and in order.
 *
 * @param label how errors name the bundle
 * @throws BangerError `untrusted` naming member and rule
 */
export function parseMetadata(bytes: Uint8Array, label: string): BundleMetadata {
  const fail = (why: string) => bundleFault(label, metadataName, why);
  if (bytes.length > maxMetadataBytes) throw fail(`it is larger than ${maxMetadataBytes} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw fail("it is not JSON");
  }
  const format = typeof value === "object" && value !== null && "format" in value
    ? value.format
    : undefined;
  if (typeof format === "number" && format !== bundleFormat) {
    throw fail(`it has format ${format}, this version reads format ${bundleFormat}`);
  }
  const result = v.safeParse(metadataSchema, value);
  if (!result.success) {
    const [issue] = result.issues;
    throw fail(`"${v.getDotPath(issue) ?? ""}": ${issue.message}`);
  }
  const metadata = result.output;
  checkMetadata(metadata, label);
  return metadata;
}

function checkMetadata(metadata: BundleMetadata, label: string): void {
  const fail = (why: string) => bundleFault(label, metadataName, why);
  const problem = nameProblem(metadata.kind, metadata.name) ??
    nameProblem("kernel", metadata.kernel.name);
  if (problem !== undefined) throw fail(`a name in it is not allowed: ${problem}`);
  checkMembers(metadata, label);
  const root = metadata.members.find(({ name }) => name === "rootfs.ext4");
  if ((root?.size ?? null) !== metadata.virtualSize) {
    throw fail('"virtualSize" is not the size of "rootfs.ext4"');
  }
  const hasKit = metadata.members.some(({ name }) => name === "kit.ext4");
  if (hasKit !== (metadata.kitKey !== null)) {
    throw fail('"kitKey" and "kit.ext4" come together');
  }
}

function checkMembers({ kind, members }: BundleMetadata, label: string): void {
  const { may, must } = membersOfKind[kind as CatalogKind];
  let last = -1;
  let stored = 0;
  for (const member of members) {
    const fail = (why: string) => bundleFault(label, member.name, why);
    const index = memberNames.indexOf(member.name);
    if (index === last) throw fail("it is listed twice");
    if (index < last) throw fail("it is listed out of order");
    last = index;
    if (!may.includes(member.name)) throw fail(`no ${kind} bundle has such a member`);
    const limit = maxMemberBytes[member.name];
    if (member.size > limit) throw fail(`it is larger than ${limit} bytes`);
    if (member.size === 0) throw fail("it is empty");
    if (member.sparse && !maySparse(member.name)) throw fail("it may not have holes");
    if (!member.sparse && member.storedSize !== member.size) {
      throw fail("without holes it must be stored as large as it is");
    }
    stored += member.storedSize;
    if (stored > maxStoredBytes) throw fail(`all members are larger than ${maxStoredBytes} bytes`);
  }
  const names = members.map(({ name }) => name);
  const kernels = names.filter((name) => kernelMembers.includes(name));
  const missing = must.filter((name) => !names.includes(name));
  if (missing.length > 0) throw bundleFault(label, metadataName, `it lists no ${missing[0]}`);
  if (kernels.length !== 1) {
    throw bundleFault(label, metadataName, `it lists ${kernels.length} kernels instead of one`);
  }
}

/** For who makes a bundle: what is wrong with it is his own doing. */
export function asInvalid(error: unknown): unknown {
  if (!(error instanceof BangerError) || error.kind !== "untrusted") return error;
  return new BangerError("invalid", error.message, { cause: error });
}
