import { Server } from "node:net";
import { DatabaseSync, StatementSync } from "node:sqlite";
import type { EffectKind } from "../plan.ts";
import type { Injector } from "./injector.ts";

/** Deno's functions that change something, and the kind of effect. */
const functions: Readonly<Record<string, EffectKind>> = {
  writeTextFile: "write",
  writeFile: "write",
  mkdir: "write",
  makeTempDir: "write",
  makeTempFile: "write",
  copyFile: "write",
  rename: "write",
  link: "write",
  symlink: "write",
  truncate: "write",
  remove: "change",
  chmod: "change",
  chown: "change",
  utime: "change",
};

/** Methods of an open file. */
const fileMethods: Readonly<Record<string, EffectKind>> = {
  write: "write",
  truncate: "write",
  sync: "write",
  syncData: "write",
};

/** Not part of any operation. */
const ignoredPath = /\/(daemon\.log(\.\d)?|pid)$/;
/** Sockets of VMs: QMP, agent, console and lanes. */
const vmSocket = /\/[0-9a-f]{12}\/([qac0-9])$/;
const socketNames: Readonly<Record<string, string>> = {
  q: "QMP",
  a: "the agent",
  c: "the console",
};

// deno-lint-ignore no-explicit-any
type Any = any;

/** Puts `injector` in front of everything of Deno's by which this thread changes something. */
export function patchDeno(injector: Injector): void {
  const deno = Deno as Any;
  for (const [name, kind] of Object.entries(functions)) {
    const describe = (args: Any[]) => isIgnored(args) ? undefined : `${name} ${shortPath(args)}`;
    patchBoth(deno, name, kind, injector, describe);
  }
  patchOpen(deno, injector);
  for (const [name, kind] of Object.entries(fileMethods)) {
    const paths = openPaths;
    patchBoth(Deno.FsFile.prototype, name, kind, injector, (_args, self) => {
      const path = paths.get(self as Deno.FsFile);
      return path === undefined ? undefined : `${name} ${path}`;
    });
  }
  patchCommand(deno, injector);
  patchConnect(deno, injector);
  patchListen(injector);
  patchUnixListen(deno, injector);
  patchSqlite(injector);
  const now = Date.now;
  Date.now = () => now() + injector.clockMs;
}

function nothing(): void {}

/** `after` is called also when the effect fails by itself. */
async function finish<T>(after: () => void, effect: () => T | Promise<T>): Promise<T> {
  try {
    return await effect();
  } finally {
    after();
  }
}

const openPaths = new WeakMap<Deno.FsFile, string>();

type Describe = (args: Any[], self: unknown) => string | undefined;

function patchBoth(
  owner: Any,
  name: string,
  kind: EffectKind,
  injector: Injector,
  describe: Describe,
): void {
  const [later, now] = [owner[name], owner[`${name}Sync`]];
  if (later !== undefined) {
    owner[name] = async function (...args: Any[]) {
      const effect = describe(args, this);
      if (effect === undefined) return await later.apply(this, args);
      const after = injector.before(kind, effect);
      return await finish(after, () => later.apply(this, args));
    };
  }
  if (now !== undefined) {
    owner[`${name}Sync`] = function (...args: Any[]) {
      const effect = describe(args, this);
      if (effect === undefined) return now.apply(this, args);
      const after = injector.before(kind, effect);
      try {
        return now.apply(this, args);
      } finally {
        after();
      }
    };
  }
}

/** Opening counts when it can make or empty the file; what is written to it afterwards counts, too. */
function patchOpen(deno: Any, injector: Injector): void {
  const remember = (args: Any[], file: Deno.FsFile) => {
    const { write, append } = args[1] ?? {};
    if ((write || append) && !isIgnored(args)) openPaths.set(file, shortPath(args));
    return file;
  };
  const makes = (args: Any[]) => {
    const { create, createNew, truncate } = args[1] ?? {};
    return (create || createNew || truncate) && !isIgnored(args);
  };
  const { open, openSync } = deno;
  deno.open = async (...args: Any[]) => {
    const after = makes(args) ? injector.before("write", `open ${shortPath(args)}`) : nothing;
    return await finish(after, async () => remember(args, await open(...args)));
  };
  deno.openSync = (...args: Any[]) => {
    const after = makes(args) ? injector.before("write", `open ${shortPath(args)}`) : nothing;
    try {
      return remember(args, openSync(...args));
    } finally {
      after();
    }
  };
}

function patchCommand(deno: Any, injector: Injector): void {
  const { Command, kill } = deno;
  deno.Command = class extends Command {
    readonly #name: string;
    constructor(program: string | URL, options: Deno.CommandOptions = {}) {
      const [real, args, name] = commandOf(String(program), options.args ?? []);
      super(real, { ...options, args });
      this.#name = name;
    }
    spawn() {
      const after = injector.before("spawn", `spawn ${this.#name}`);
      const child = super.spawn();
      after();
      const end = child.kill.bind(child);
      child.kill = (signal?: Deno.Signal) => {
        const done = injector.before("signal", `signal ${signal} to ${this.#name}`);
        try {
          end(signal);
        } finally {
          done();
        }
      };
      return child;
    }
    async output() {
      const after = injector.before("spawn", `run ${this.#name}`);
      return await finish(after, () => super.output());
    }
  };
  deno.kill = (pid: number, signal?: Deno.Signal) => {
    const after = injector.before("signal", `signal ${signal} to an adopted process`);
    try {
      kill(pid, signal);
    } finally {
      after();
    }
  };
}

let fakeProgram: string | undefined;

/** From now on passt and the net filter are this program, as QEMU is. */
export function replaceNetwork(program: string): void {
  fakeProgram = program;
}

/** The command with the fakes in it, and its name. */
function commandOf(program: string, args: readonly string[]): [string, string[], string] {
  const base = program.slice(program.lastIndexOf("/") + 1);
  if (args[2] !== "banger-launch") return [program, [...args], base];
  const passt = args.findIndex((word) => word.endsWith("/passt"));
  const filter = args.indexOf("net-filter");
  if (fakeProgram !== undefined && passt >= 0) {
    return [program, args.with(passt, fakeProgram), "passt"];
  }
  if (fakeProgram !== undefined && filter >= 0) {
    const launcher = args.indexOf("/proc/self/fd/3");
    return [
      program,
      [...args.slice(0, launcher), fakeProgram, ...args.slice(filter + 2)],
      "filter",
    ];
  }
  return [program, [...args], "qemu"];
}

function patchConnect(deno: Any, injector: Injector): void {
  const { connect } = deno;
  deno.connect = async (options: Any) => {
    const name = vmSocket.exec(String(options?.path ?? ""))?.[1];
    const connection = await connect(options);
    if (name === undefined) return connection;
    const peer = socketNames[name] ?? "a lane";
    const write = connection.write.bind(connection);
    connection.write = async (bytes: Uint8Array) => {
      const after = injector.before("rpc", `write to ${peer}`);
      return await finish(after, () => write(bytes));
    };
    return connection;
  };
}

/** The daemon's own socket. */
function patchUnixListen(deno: Any, injector: Injector): void {
  const { listen } = deno;
  deno.listen = (options: Any) => {
    if (options?.transport !== "unix") return listen(options);
    const after = injector.before("write", `listen at ${shortPath([options.path])}`);
    try {
      return listen(options);
    } finally {
      after();
    }
  };
}

/** Ports of the host; a failure is told as `node:net` tells one. */
function patchListen(injector: Injector): void {
  const listen = Server.prototype.listen as Any;
  Server.prototype.listen = function (this: Any, ...args: Any[]) {
    let after: () => void;
    try {
      after = injector.before("listen", "listen on a port");
    } catch (error) {
      queueMicrotask(() => this.emit("error", error));
      return this;
    }
    const server = listen.apply(this, args);
    after();
    return server;
  } as Any;
}

function patchSqlite(injector: Injector): void {
  const run = StatementSync.prototype.run as Any;
  StatementSync.prototype.run = function (this: Any, ...args: Any[]) {
    const words = this.sourceSQL.trim().split(/\s+/).slice(0, 3).join(" ");
    const after = injector.before("commit", `store ${words}`);
    const result = run.apply(this, args);
    after();
    return result;
  } as Any;
  const { exec, prepare } = DatabaseSync.prototype;
  DatabaseSync.prototype.exec = function (sql: string) {
    if (!/^(COMMIT$|PRAGMA )/.test(sql)) return exec.call(this, sql);
    const after = injector.before("commit", `store ${sql.split(/[ ;(]/, 2).join(" ")}`);
    exec.call(this, sql);
    after();
  };
  // Opening a store reads it, which can fail as well.
  DatabaseSync.prototype.prepare = function (this: Any, sql: string, ...options: Any[]) {
    if (!sql.includes("quick_check")) return (prepare as Any).call(this, sql, ...options);
    const after = injector.before("commit", "store check");
    const statement = (prepare as Any).call(this, sql, ...options);
    after();
    return statement;
  } as Any;
}

function isIgnored(args: readonly Any[]): boolean {
  return ignoredPath.test(String(args[0]));
}

/** The last two parts of the path, with what is different in every run left out. */
function shortPath(args: readonly Any[]): string {
  const path = args[0] === undefined || typeof args[0] === "object"
    ? `${args[0]?.dir ?? ""}/${args[0]?.prefix ?? "temporary"}`
    : String(args[0]);
  return path.split("/").slice(-2).join("/")
    .replace(/[0-9a-f]{64}/g, "DIGEST")
    .replace(/[0-9a-f]{32}/g, "DIGEST")
    .replace(/[0-9a-f]{16}/g, "ID")
    .replace(/[0-9a-f]{12}/g, "ID")
    .replace(/(\.key-|kit-|image-|oci-|pull-)[0-9a-zA-Z]+/g, "$1*");
}
