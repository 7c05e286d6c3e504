import { createHash } from "node:crypto";
import type { BundleMember, BundleMetadata, MemberName } from "../../src/bundles/bundle.ts";
import { encodeMetadata } from "../../src/bundles/metadata.ts";
import { memberHeaders, paddedBytes } from "../../src/bundles/tar_headers.ts";
import { run } from "../../src/process/run.ts";

/** The smallest ELF program that passes for an x86_64 kernel. */
export function elfKernelFixture(padding = 64): Uint8Array {
  const file = new Uint8Array(64 + 56 + padding).fill(0x90);
  file.fill(0, 0, 120);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const view = new DataView(file.buffer);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setBigUint64(24, 0x1000000n + 120n, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  view.setBigUint64(64 + 16, 0xffffffff81000000n, true);
  view.setBigUint64(64 + 24, 0x1000000n, true);
  view.setBigUint64(64 + 32, BigInt(file.length), true);
  return file;
}

/** A member of a hand-made archive. */
export interface RawMember {
  readonly name: string;
  readonly stored: Uint8Array;
  /** Set for one with a map. */
  readonly sparseSize?: number;
}

/** Metadata for raw members whose sizes and hashes are right. */
export function metadataFixture(
  members: readonly RawMember[],
  overrides: Partial<BundleMetadata> = {},
): BundleMetadata {
  const listed = members.map((member): BundleMember => ({
    name: member.name as MemberName,
    size: member.sparseSize ?? member.stored.length,
    storedSize: member.stored.length,
    sparse: member.sparseSize !== undefined,
    sha256: createHash("sha256").update(member.stored).digest("hex"),
  }));
  const root = listed.find(({ name }) => name === "rootfs.ext4");
  return {
    format: 1,
    kind: root === undefined ? "kernel" : "image",
    name: "tiny",
    arch: "x86_64",
    kernel: { name: "tiny-kernel", version: "6.1.0-tiny", commandLine: [] },
    virtualSize: root?.size ?? null,
    kitKey: null,
    createdAtMs: 1_767_225_600_000,
    members: listed,
    ...overrides,
  };
}

/** An archive of metadata and members, as a bundle has it before compression. */
export function archiveFixture(
  metadata: BundleMetadata | Uint8Array,
  members: readonly RawMember[],
): Uint8Array {
  const first = metadata instanceof Uint8Array ? metadata : encodeMetadata(metadata);
  return joined([
    ...memberBytes({ name: "banger-bundle.json", stored: first }),
    ...members.flatMap(memberBytes),
    new Uint8Array(1024),
  ]);
}

/** Headers, content and padding of one member. */
export function memberBytes({ name, stored, sparseSize }: RawMember): Uint8Array[] {
  return [
    memberHeaders({ name, storedSize: stored.length, sparseSize: sparseSize ?? null }),
    stored,
    new Uint8Array(paddedBytes(stored.length) - stored.length),
  ];
}

/** Compresses by zstd, as one frame. */
export async function zstdFixture(plain: Uint8Array): Promise<Uint8Array> {
  const { stdout } = await run("zstd", ["-q", "-1", "-c"], {
    stdin: plain,
    maxStdoutBytes: 1 << 30,
  });
  return stdout;
}

/** One after the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
