import { BangerError } from "../model/errors.ts";
import type { Paths } from "../paths/paths.ts";

/**
 * Asserts that this thread can not do what the services must never do, both by asking Deno and by
 * trying. Every refusal is one line of {@linkcode forbidden}.
 *
 * @throws BangerError `internal`: nothing may be served then
 */
export function assertNarrow(paths: Paths): void {
  const allowed = forbidden(paths).filter(({ probe }) => probe());
  if (allowed.length === 0) return;
  const what = allowed.map(({ name }) => name).join(", ");
  throw new BangerError("internal", `Cannot serve: the Worker may still ${what}`, {
    code: "NOT_NARROW",
  });
}

/** One thing that must be denied; `probe` tells whether it is allowed. */
export interface Forbidden {
  readonly name: string;
  probe(): boolean;
}

/** Everything that must be denied to the Worker. */
export function forbidden(paths: Paths): readonly Forbidden[] {
  const granted = (name: string, descriptor: Deno.PermissionDescriptor): Forbidden => ({
    name,
    probe: () => Deno.permissions.querySync(descriptor).state === "granted",
  });
  const canDo = (name: string, action: () => unknown): Forbidden => ({
    name,
    probe: () => {
      try {
        action();
        return true;
      } catch (error) {
        // Anything but Deno's own denial means that the wall is not there.
        return !(error instanceof Deno.errors.NotCapable);
      }
    },
  });
  return [
    granted("call native code", { name: "ffi" }),
    granted("read the environment", { name: "env" }),
    granted("ask the system", { name: "sys" }),
    granted("load further code", { name: "import" }),
    granted("read everything", { name: "read" }),
    granted("write everything", { name: "write" }),
    granted("run every program", { name: "run" }),
    granted("read ssh keys of the user", { name: "read", path: `${paths.home}/.ssh` }),
    granted("write to the home directory", { name: "write", path: `${paths.home}/.profile` }),
    granted("change its configuration", { name: "write", path: paths.configFile }),
    granted("run sudo", { name: "run", command: "/usr/bin/sudo" }),
    canDo("open /etc/shadow", () => Deno.openSync("/etc/shadow").close()),
    canDo("open another process", () => Deno.openSync("/proc/1/environ").close()),
    canDo("open /dev/kvm", () => Deno.openSync("/dev/kvm").close()),
    canDo("write below /tmp", () => Deno.openSync("/tmp/x", { write: true }).close()),
    canDo("see HOME", () => Deno.env.get("HOME")),
    canDo("load libc", () => Deno.dlopen("libc.so.6", {}).close()),
    canDo("change the umask", () => Deno.umask()),
  ];
}
