import { BangerError, reasonOf } from "../model/errors.ts";

/**
 * Takes the lock that says that a daemon works on a state directory. The kernel lets go of it when
 * this process ends, however it ends.
 *
 * @returns the lock, or `undefined` when another process has it
 * @throws BangerError `precondition` when the file cannot be opened
 */
export function takeDaemonLock(path: string): Disposable | undefined {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
  } catch (cause) {
    throw new BangerError("precondition", `Cannot lock "${path}": ${reasonOf(cause)}`, { cause });
  }
  if (file.tryLockSync(true)) return file;
  file.close();
  return undefined;
}
