/**
 * The half of `src/oci` that runs with the user's rights, in the CLI: looks up credentials in the
 * user's Docker config, and reads the local images that the user names. The daemon gets the result
 * with the request, or asks for bytes over a connection of its own.
 *
 * Imports only `model`, rank 1, the error codec and the interfaces of `src/oci`; must not import the
 * registry client.
 */
import { BangerError } from "../../model/errors.ts";
import { archiveName, isLayoutName, type LocalBytes } from "../local_bytes.ts";

const readBytes = 1024 ** 2;

/**
 * The files of the image layout in `dir`. Only names of a layout are opened, and only regular files
 * under them: what is a symbolic link, a FIFO or a device in there is refused.
 */
export function layoutDirectory(dir: string): LocalBytes {
  return new HostFiles((name) => isLayoutName(name) ? `${dir}/${name}` : undefined, false, dir);
}

/** The one file of an archive, named by the user: it may be a symbolic link. */
export function archiveFile(path: string): LocalBytes {
  return new HostFiles((name) => name === archiveName ? path : undefined, true);
}

class HostFiles implements LocalBytes {
  readonly #pathOf: (name: string) => string | undefined;
  readonly #follow: boolean;
  readonly #dir: string | undefined;

  /** Without `dir`, a file that is missing is all that can be missing. */
  constructor(pathOf: (name: string) => string | undefined, follow: boolean, dir?: string) {
    this.#pathOf = pathOf;
    this.#follow = follow;
    this.#dir = dir;
  }

  async size(name: string, signal: AbortSignal): Promise<number | undefined> {
    signal.throwIfAborted();
    try {
      return (await this.#stat(this.#path(name))).size;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
        await this.#checkDir();
        return undefined;
      }
      throw unreadable(this.#path(name), error);
    }
  }

  async *read(
    name: string,
    { offset, length }: { readonly offset: number; readonly length: number },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const path = this.#path(name);
    try {
      // Looked at first: to open a FIFO would wait for its writer.
      const seen = await this.#stat(path);
      using file = await Deno.open(path, { read: true });
      const opened = await file.stat();
      if (opened.ino !== seen.ino || opened.dev !== seen.dev) throw new Error("it was replaced");
      await file.seek(offset, Deno.SeekMode.Start);
      const buffer = new Uint8Array(Math.min(readBytes, Math.max(1, length)));
      for (let left = length; left > 0;) {
        signal.throwIfAborted();
        const count = await file.read(buffer.subarray(0, Math.min(left, buffer.length)));
        if (count === null) return;
        left -= count;
        yield buffer.subarray(0, count);
      }
    } catch (error) {
      signal.throwIfAborted();
      throw unreadable(path, error);
    }
  }

  async #checkDir(): Promise<void> {
    if (this.#dir === undefined) return;
    const info = await Deno.stat(this.#dir).catch(() => undefined);
    if (info?.isDirectory === true) return;
    throw new BangerError("not_found", `Cannot read "${this.#dir}": there is no such directory`, {
      hint: "Give the path of an OCI image layout, as oci:DIR",
    });
  }

  async #stat(path: string): Promise<Deno.FileInfo> {
    const info = this.#follow ? await Deno.stat(path) : await Deno.lstat(path);
    if (!info.isFile) throw new Error("it is no regular file");
    return info;
  }

  #path(name: string): string {
    const path = this.#pathOf(name);
    if (path !== undefined) return path;
    throw new BangerError(
      "internal",
      `Cannot open ${JSON.stringify(name)}: no image has such a file`,
    );
  }
}

function unreadable(path: string, cause: unknown): unknown {
  if (cause instanceof BangerError) return cause;
  const why = cause instanceof Deno.errors.PermissionDenied
    ? "you may not read it"
    : cause instanceof Error
    ? cause.message
    : String(cause);
  return new BangerError("precondition", `Cannot read "${path}": ${why}`, {
    hint: "Give the path of an OCI image layout or of a file that docker save wrote",
    cause,
  });
}
