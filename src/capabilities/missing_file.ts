import type { Missing } from "../services/vm/contract.ts";

/** That the file at `path`, which is of `what`, is not there; nothing when it is. */
export async function missingFile(what: string, path: string, hint: string): Promise<Missing[]> {
  try {
    if ((await Deno.stat(path)).isFile) return [];
  } catch (cause) {
    // A registered file is out of this thread's sight; who looked for the image has seen it.
    if (cause instanceof Deno.errors.NotCapable) return [];
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
  return [{ what: `${what} has lost its file "${path}"`, hint }];
}
