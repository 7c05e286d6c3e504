/** The names that can be given up whole. */
type PermissionName = Deno.PermissionDescriptor["name"];

const everyName: readonly PermissionName[] = [
  "read",
  "write",
  "net",
  "env",
  "sys",
  "run",
  "ffi",
  "import",
];

/** Gives permissions up for good, whatever they were granted for. */
export function giveUp(names: readonly PermissionName[]): void {
  for (const name of names) Deno.permissions.revokeSync({ name });
}

/**
 * Asserts that nothing but the use of sockets can be left.
 *
 * @throws Error what else is allowed: nothing may be filtered then
 */
export function assertSocketsOnly(): void {
  refuse(everyName.filter((name) => !["read", "write", "net"].includes(name)).filter(isGranted));
}

/**
 * Asserts that reading files is all that can be left, and not the whole file system.
 *
 * @throws Error what else is allowed: nothing may be read then
 */
export function assertReadsOnly(): void {
  refuse([
    ...everyName.filter(isGranted),
    ...attemptsAt("/tmp/banger").filter(([, attempt]) => isAllowed(attempt)).map(([name]) => name),
  ]);
}

/**
 * Asserts that nothing is allowed any more, by asking Deno and by trying; open files and connections
 * go on. `path` is one that could be used until now.
 *
 * @throws Error what is still allowed: nothing of strangers may be looked at then
 */
export function assertClosed(path: string): void {
  refuse([
    ...everyName.filter(isGranted),
    ...attemptsAt(path).filter(([, attempt]) => isAllowed(attempt)).map(([name]) => name),
  ]);
}

function attemptsAt(path: string): readonly (readonly [string, () => unknown])[] {
  return [
    ["open a file", () => Deno.openSync("/etc/passwd").close()],
    ["look at its own file", () => Deno.lstatSync(path)],
    ["remove its own file", () => Deno.removeSync(`${path}.none`)],
    ["listen on the loopback", () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close()],
    ["see the environment", () => Deno.env.get("PATH")],
    ["ask the system", () => Deno.hostname()],
    ["load libc", () => Deno.dlopen("libc.so.6", {}).close()],
  ];
}

function isGranted(name: PermissionName): boolean {
  return Deno.permissions.querySync({ name }).state === "granted";
}

function isAllowed(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch (error) {
    // Anything but Deno's own denial means that the wall is not there.
    return !(error instanceof Deno.errors.NotCapable);
  }
}

function refuse(allowed: readonly string[]): void {
  if (allowed.length > 0) throw new Error(`it may still use: ${allowed.join(", ")}`);
}
