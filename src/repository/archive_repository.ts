import { BangerError } from "../model/errors.ts";
import { startPipedProgram } from "../process/piped_program.ts";
import { toBytes } from "./byte_text.ts";
import type { ObjectFile } from "./object_files.ts";
import type { RepositoryContents, RepositoryPart } from "./repository.ts";
import { tarEnd, tarHeader, tarPadding } from "./tar_header.ts";

const readBytes = 256 * 1024;

/**
 * Streams a repository as one tar archive, all entries owned by root: first `.git` of each part,
 * written here, then the work tree by the host's tar, which takes names as bytes.
 *
 * @param onNotice gets a line when a file changed while it was read, which is not a failure
 * @throws BangerError `precondition` when a file cannot be read, `cancelled`
 */
export async function* archiveRepository(
  contents: RepositoryContents,
  signal: AbortSignal,
  onNotice: (text: string) => void,
): AsyncGenerator<Uint8Array> {
  for (const part of contents.parts) yield* gitEntries(part, signal);
  for (const name of contents.emptyDirs) yield directory(name);
  if (contents.fileNames.length === 0) {
    yield tarEnd();
    return;
  }
  yield* workTree(contents, signal, onNotice);
}

async function* gitEntries(part: RepositoryPart, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const base = `${part.prefix}.git`;
  for (const dir of [base, `${base}/objects`, `${base}/objects/pack`, `${base}/refs`]) {
    yield directory(dir);
  }
  const encoded = new TextEncoder().encode(`${base}/`);
  for (const { name, bytes, mtimeS } of part.gitDir.files()) {
    const full = concat(encoded, toBytes(name));
    yield tarHeader({ name: full, kind: "file", size: bytes.length, mode: 0o644, mtimeS });
    yield bytes;
    yield tarPadding(bytes.length);
  }
  for (const file of part.gitDir.objects.files) {
    signal.throwIfAborted();
    yield* objectEntry(`${base}/objects/${file.name}`, file);
  }
}

async function* objectEntry(name: string, file: ObjectFile): AsyncGenerator<Uint8Array> {
  const { size, mtimeS } = file;
  const encoded = new TextEncoder().encode(name);
  using source = await openObject(file);
  yield tarHeader({ name: encoded, kind: "file", size, mode: 0o444, mtimeS });
  let left = size;
  while (left > 0) {
    const buffer = new Uint8Array(Math.min(readBytes, left));
    const count = await source.read(buffer);
    if (count === null) {
      throw new BangerError(
        "precondition",
        `Cannot copy "${file.path}": it was cut while it was read`,
        {
          hint: "Try again when git has finished",
        },
      );
    }
    left -= count;
    yield buffer.subarray(0, count);
  }
  yield tarPadding(size);
}

async function openObject(file: ObjectFile): Promise<Deno.FsFile> {
  try {
    return await Deno.open(file.path, { read: true });
  } catch (cause) {
    throw new BangerError("precondition", `Cannot copy "${file.path}": it cannot be read`, {
      hint: "Try again: git may have repacked the repository meanwhile",
      cause,
    });
  }
}

async function* workTree(
  contents: RepositoryContents,
  signal: AbortSignal,
  onNotice: (text: string) => void,
): AsyncGenerator<Uint8Array> {
  const tar = startPipedProgram("tar", [
    "--create",
    "--file=-",
    "--format=gnu",
    "--blocking-factor=128",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--hard-dereference",
    "--no-recursion",
    "--null",
    "--verbatim-files-from",
    "--files-from=-",
  ], { cwd: contents.root, stdin: contents.fileNames, signal });
  yield* tar.stdout;
  const { code, stderr } = await tar.ended;
  const lines = stderr.trim().split("\n").filter((line) => line !== "");
  // 1: some files changed or vanished while they were read (GNU tar's manual).
  if (code === 1) {
    onNotice(`Files changed while they were copied: ${lines.slice(0, 3).join("; ")}`);
  } else if (code !== 0) {
    throw new BangerError(
      "precondition",
      `Cannot copy "${contents.root}": tar cannot read all of it`,
      {
        detail: lines.slice(-20).join("\n"),
      },
    );
  }
}

function directory(name: string): Uint8Array {
  const encoded = new TextEncoder().encode(name);
  return tarHeader({ name: encoded, kind: "dir", size: 0, mode: 0o755, mtimeS: 0 });
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
