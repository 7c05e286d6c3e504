import type { AgentContext } from "./context.ts";

/** Runs an applet of the kit's busybox; gives its stdout, `undefined` when it fails. */
export async function busybox(
  context: AgentContext,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string | undefined> {
  return await tool(`${context.kit}/bin/busybox`, args, env);
}

/** Runs a program to its end; gives its stdout (also with a bad exit), `undefined` if it cannot be started. */
export async function tool(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command(program, {
      args: [...args],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...env },
      clearEnv: true,
      stdin: "null",
      stderr: "inherit",
    }).output();
    return new TextDecoder().decode(stdout);
  } catch {
    return undefined;
  }
}
