/** The text of a small file, `undefined` when it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}

/** Writes a file, with the directories above it; its mode is set also when it existed before. */
export function writeText(path: string, text: string, mode = 0o644): void {
  makeDirectory(path.slice(0, path.lastIndexOf("/")));
  Deno.writeTextFileSync(path, text, { mode });
  if (mode !== 0o644) Deno.chmodSync(path, mode);
}

/** Makes a directory and those above it. */
export function makeDirectory(path: string, mode?: number): void {
  if (path === "") return;
  Deno.mkdirSync(path, { recursive: true, ...(mode === undefined ? {} : { mode }) });
}

/** Removes a directory and all in it. */
export function removeTree(path: string): void {
  Deno.removeSync(path, { recursive: true });
}

/** Whether anything, also a dangling link, has this name. */
export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Writes a line for whoever waits at the pipe `path`; false when there is no such pipe (any more). */
export function tell(path: string, line = ""): boolean {
  let pipe: Deno.FsFile;
  try {
    // Opened both ways, since opening a pipe that nobody reads for writing would wait.
    pipe = Deno.openSync(path, { read: true, write: true });
  } catch {
    return false;
  }
  using _closing = pipe;
  pipe.writeSync(new TextEncoder().encode(`${line}\n`));
  return true;
}

/** Whether there is a directory of this name, or a link to one. */
export function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
