/** A path that a user gave, seen from `cwd`; `..` stays, since behind a symbolic link it leads elsewhere. */
export function absolutePath(path: string, cwd: string): string {
  const parts = (path.startsWith("/") ? path : `${cwd}/${path}`).split("/");
  return `/${parts.filter((part) => part !== "" && part !== ".").join("/")}`;
}
