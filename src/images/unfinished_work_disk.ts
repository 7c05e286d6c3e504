/**
 * Where a work disk is while it is being made that will be at `path`. In a file of its own: who looks for one that was
 * left needs no writer of file systems.
 */
export function unfinishedWorkDisk(path: string): string {
  return `${path}.new`;
}
