/**
 * Small questions about files, and their removal, where a file that is missing is an answer and no failure.
 *
 * Must not know whose files they are: it imports nothing.
 */

/** Whether there is anything at `path`; a symbolic link counts, wherever it leads. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
