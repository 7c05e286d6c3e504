import { BangerError } from "../model/errors.ts";
import { buildInfo } from "./build_info.ts";

/** The files that the guest kit is made of, absolute paths. */
export interface RuntimeAssets {
  /**
   * The program that the guest kit runs: a plain Deno, which takes `run … agentBundle`; in a
   * `compiled` build the agent itself, which takes no arguments of Deno's.
   */
  readonly denoBinary: string;
  /** The bundled guest agent, one JavaScript file without imports. */
  readonly agentBundle: string;
  /** Where this build's files are. */
  readonly buildDir: string;
}

/**
 * Finds the files of the guest kit in the running installation.
 *
 * @throws BangerError `precondition` when one is missing, for example before the first `make build`.
 */
export function runtimeAssets(): RuntimeAssets {
  const assets = locate();
  for (const path of [assets.denoBinary, assets.agentBundle]) requireFile(path);
  return assets;
}

function locate(): RuntimeAssets {
  const here = import.meta.dirname ?? "";
  switch (buildInfo().kind) {
    case "source":
      return {
        denoBinary: Deno.execPath(),
        agentBundle: `${here}/../../build/kit/agent.js`,
        buildDir: `${here}/../../build`,
      };
    case "self-extracting":
      return {
        denoBinary: Deno.execPath(),
        agentBundle: `${here}/agent.js`,
        buildDir: here,
      };
    case "compiled":
      return {
        denoBinary: Deno.execPath().replace(/[^/]*$/, "banger-agent"),
        agentBundle: `${here}/agent.js`,
        buildDir: here,
      };
  }
}

function requireFile(path: string): void {
  try {
    if (Deno.statSync(path).isFile) return;
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
  throw new BangerError("precondition", `Cannot use "${path}": there is no such file`, {
    hint: "make build",
  });
}
