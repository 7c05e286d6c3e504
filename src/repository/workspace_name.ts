const maxBytes = 100;

/**
 * A safe directory name for the guest from a directory of the host: what is not a letter, digit,
 * `.`, `_` or `-` becomes `-`, it does not start with `.` or `-`, at most 100 bytes.
 */
export function workspaceName(root: string): string {
  const base = root.slice(root.lastIndexOf("/") + 1);
  const safe = base.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[.-]+/, "").slice(0, maxBytes);
  return safe === "" ? "workspace" : safe;
}
