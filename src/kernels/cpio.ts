const headerFields = 13;
const trailerName = "TRAILER!!!";
const maxFieldValue = 0xffff_ffff;

/** One member of a cpio archive. Paths have no leading slash; modes are permission bits only. */
export type CpioEntry =
  | { readonly type: "directory"; readonly path: string; readonly mode?: number }
  | {
    readonly type: "file";
    readonly path: string;
    readonly mode?: number;
    readonly content: Uint8Array;
  }
  | { readonly type: "symlink"; readonly path: string; readonly target: string }
  | {
    readonly type: "character";
    readonly path: string;
    readonly mode?: number;
    readonly major: number;
    readonly minor: number;
  };

/**
 * The bytes of a cpio archive in the "newc" format that the kernel unpacks as its initramfs
 * (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
 *
 * Everything belongs to root and has time 0, so equal entries give equal bytes. Parents are not
 * added: a directory must come before what it holds, as the kernel makes none by itself.
 *
 * @throws TypeError when a path is empty, absolute, has a NUL or a `..`, or comes before its parent
 */
export function cpioArchive(entries: readonly CpioEntry[]): Uint8Array {
  const made = new Set<string>([""]);
  const parts: Uint8Array[] = [];
  let inode = 1;
  for (const entry of entries) {
    checkPath(entry.path, made);
    if (entry.type === "directory") made.add(entry.path);
    parts.push(...member(entry, inode++));
  }
  parts.push(...record({ path: trailerName, mode: 0, inode: 0, content: new Uint8Array(0) }));
  return joined(parts);
}

function checkPath(path: string, made: ReadonlySet<string>): void {
  const segments = path.split("/");
  if (
    path.includes("\0") || segments.some((part) => part === "" || part === "." || part === "..")
  ) {
    throw new TypeError(`Cannot archive ${JSON.stringify(path)}: not a plain relative path`);
  }
  if (!made.has(segments.slice(0, -1).join("/"))) {
    throw new TypeError(`Cannot archive ${JSON.stringify(path)}: its directory comes later`);
  }
}

function member(entry: CpioEntry, inode: number): Uint8Array[] {
  const path = entry.path;
  const empty = new Uint8Array(0);
  switch (entry.type) {
    case "directory":
      return record({ path, inode, mode: 0o040000 | (entry.mode ?? 0o755), content: empty });
    case "file":
      return record({
        path,
        inode,
        mode: 0o100000 | (entry.mode ?? 0o644),
        content: entry.content,
      });
    case "symlink": {
      const content = new TextEncoder().encode(entry.target);
      return record({ path, inode, mode: 0o120777, content });
    }
    case "character": {
      const { major, minor } = entry;
      const mode = 0o020000 | (entry.mode ?? 0o600);
      return record({ path, inode, mode, content: empty, major, minor });
    }
  }
}

interface RecordFields {
  readonly path: string;
  readonly inode: number;
  readonly mode: number;
  readonly content: Uint8Array;
  readonly major?: number;
  readonly minor?: number;
}

/** A header, its name and its content, each padded to four bytes. */
function record(fields: RecordFields): Uint8Array[] {
  const name = new TextEncoder().encode(`${fields.path}\0`);
  const numbers = new Array<number>(headerFields).fill(0);
  numbers[0] = fields.inode;
  numbers[1] = fields.mode;
  numbers[4] = 1;
  numbers[6] = fields.content.length;
  numbers[9] = fields.major ?? 0;
  numbers[10] = fields.minor ?? 0;
  numbers[11] = name.length;
  if (fields.content.length > maxFieldValue) {
    throw new TypeError(`Cannot archive ${JSON.stringify(fields.path)}: larger than 4 GiB`);
  }
  const header = "070701" + numbers.map((value) => value.toString(16).padStart(8, "0")).join("");
  const headerBytes = new TextEncoder().encode(header);
  return [
    headerBytes,
    name,
    padding(headerBytes.length + name.length),
    fields.content,
    padding(fields.content.length),
  ];
}

function padding(length: number): Uint8Array {
  return new Uint8Array((4 - (length % 4)) % 4);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
