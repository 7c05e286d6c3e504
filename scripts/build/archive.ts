import { createHash } from "node:crypto";
import { run } from "../../src/process/run.ts";

/** A gzipped tar file and its digest. */
export interface Archive {
  readonly path: string;
  readonly sizeBytes: number;
  /** Hexadecimal sha256 of the compressed bytes. */
  readonly sha256: string;
}

/** A file in an archive: where it comes from and its name there. */
export interface ArchiveMember {
  readonly from: string;
  readonly name: string;
  /** Permission bits. */
  readonly mode: number;
}

/**
 * Writes `members` (and an empty directory for each of `dirs`) to a gzipped tar file at `path`, the
 * same bytes for the same input. `workDir` is used in between and removed.
 */
export async function archive(
  path: string,
  members: readonly ArchiveMember[],
  dirs: readonly string[],
  workDir: string,
): Promise<Archive> {
  await Deno.mkdir(workDir, { recursive: true });
  try {
    await Deno.chmod(workDir, 0o700);
    for (const dir of dirs) await Deno.mkdir(`${workDir}/${dir}`, { mode: 0o700 });
    for (const member of members) {
      await Deno.copyFile(member.from, `${workDir}/${member.name}`);
      await Deno.chmod(`${workDir}/${member.name}`, member.mode);
    }
    await run("tar", [
      "--create",
      "--gzip",
      "--file",
      `${path}.new`,
      "--format=gnu",
      "--sort=name",
      "--mtime=@0",
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "--directory",
      workDir,
      ".",
    ]);
    await Deno.rename(`${path}.new`, path);
    return await describeArchive(path);
  } finally {
    await Deno.remove(workDir, { recursive: true });
  }
}

/** Size and digest of an archive that exists. */
export async function describeArchive(path: string): Promise<Archive> {
  return { path, sizeBytes: (await Deno.stat(path)).size, sha256: await sha256Of(path) };
}

/** Hexadecimal sha256 of a file. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  const buffer = new Uint8Array(1 << 20);
  for (let n = await file.read(buffer); n !== null; n = await file.read(buffer)) {
    hash.update(buffer.subarray(0, n));
  }
  return hash.digest("hex");
}
