import { buildInfo } from "./build_info.ts";
import { runFlags } from "./run_flags.ts";

/** How to start this same banger again; put banger's own arguments behind `args`. */
export interface SelfCommand {
  /** Absolute path. */
  readonly program: string;
  readonly args: readonly string[];
  /** Variables that the child needs besides those the caller chooses. */
  readonly env: Readonly<Record<string, string>>;
}

/** Tells how to start this banger again, for example the daemon from the CLI. */
export function selfCommand(): SelfCommand {
  const program = Deno.execPath();
  const here = import.meta.dirname ?? "";
  const env = { DENO_NO_UPDATE_CHECK: "1", DENO_TLS_CA_STORE: "system,mozilla" };
  switch (buildInfo().kind) {
    case "compiled":
      return { program, args: [], env };
    case "self-extracting":
      return {
        program,
        // The daemon would keep what it takes from the code cache, 2 MiB, and start hardly earlier.
        args: ["run", ...runFlags, "--no-code-cache", `${here}/main.js`],
        env: { ...env, DENO_DIR: `${here}/cache` },
      };
    case "source": {
      const denoDir = Deno.env.get("DENO_DIR");
      return {
        program,
        args: [
          "run",
          "--config",
          `${here}/../../deno.json`,
          "--allow-all",
          `${here}/../../main.ts`,
        ],
        env: denoDir === undefined ? env : { ...env, DENO_DIR: denoDir },
      };
    }
  }
}
