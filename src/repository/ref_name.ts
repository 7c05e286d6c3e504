/**
 * Whether git allows `name` as a full ref name (git-check-ref-format(1)); bytes above 0x7f may be
 * one character each.
 */
export function isRefName(name: string): boolean {
  if (name.length > 1024 || !/^refs\/[^/]/.test(name)) return false;
  // deno-lint-ignore no-control-regex -- control characters are what is forbidden
  if (/[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|[./]$/.test(name)) return false;
  return name.split("/").every((part) => !part.startsWith(".") && !part.endsWith(".lock"));
}

/** Whether git allows a branch of this name. */
export function isBranchName(name: string): boolean {
  return isRefName(`refs/heads/${name}`) && !name.startsWith("-") && name !== "HEAD";
}
