import { unreadySocket } from "./unready_socket.ts";
import { buildInfo } from "./build_info.ts";

/** How the net filter's process is started; see `LocalProcesses`. */
export interface NetFilterProgram {
  /** Absolute path. */
  readonly programPath: string;
  /** Its code, to be read from its standard input; `null` when the program contains it. */
  readonly stdinPath: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** All arguments, from the filter's own: the two sockets' paths without commas, and a MAC address. */
  readonly argsFor: (args: readonly string[]) => readonly string[];
}

/**
 * Tells how to start the net filter: a bare Deno whose only permissions are the two sockets, with the
 * code from its standard input, since its user may not read any path of banger's. A compiled program
 * cannot be given flags; there the role gives up the permissions by itself, and root's program must be
 * where every user may read it.
 */
export function netFilterProgram(): NetFilterProgram {
  const { kind } = buildInfo();
  const programPath = Deno.execPath();
  const role = ["net-filter", "run"];
  if (kind === "compiled") {
    return { programPath, stdinPath: null, env, argsFor: (args) => [...role, ...args] };
  }
  const here = import.meta.dirname ?? "";
  const codeDir = kind === "source" ? `${here}/../../build/kit` : here;
  return {
    programPath,
    stdinPath: `${codeDir}/net_filter.js`,
    env,
    argsFor: (args) => {
      const sockets = args.slice(0, 2);
      const files = [...sockets, ...sockets.slice(0, 1).map(unreadySocket)];
      return [
        "run",
        ...["--no-config", "--no-lock", "--no-remote", "--no-npm", "--no-prompt"],
        // As TypeScript it would be transpiled, and Deno try for 150 ms to cache that.
        "--ext=js",
        // It holds next to nothing.
        "--v8-flags=--max-semi-space-size=1,--max-old-space-size=32,--optimize-for-size",
        `--allow-read=${files.join(",")}`,
        `--allow-write=${files.join(",")}`,
        `--allow-net=${files.map((path) => `unix:${path}`).join(",")}`,
        "-",
        ...role,
        ...args,
      ];
    },
  };
}

/** The directory for Deno's cache can not exist: nothing is cached. */
const env = { DENO_DIR: "/dev/null/deno", DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
