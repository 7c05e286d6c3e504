import type { VmView } from "../../api/vm.ts";
import type { CliContext } from "../context.ts";
import { runGuestCommand } from "../guest/run_guest_command.ts";
import { type SshSession, sshSession } from "../guest/ssh_session.ts";

/** What to run. */
export interface GuestRun {
  /** Empty: a shell, or where the image has none what it runs. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Runs a command or shell in the VM's workspace: through ssh with a terminal of its own when stdin
 * and stdout are terminals, else through the agent, byte for byte. Resolves to its exit code.
 */
export async function runInGuest(
  context: CliContext,
  vm: VmView,
  { command, env }: GuestRun,
): Promise<number> {
  const what: SshSession["command"] = {
    argv: [...command],
    cwd: null,
    env: { ...env },
    user: null,
    imageDefaults: true,
    workspace: "inside",
  };
  const connect = (signal: AbortSignal) => context.connect({ start: "never", signal });
  if (context.input.isTerminal && context.out.isTerminal) {
    return await sshSession(context, connect, { vm: vm.id, command: what, terminal: true });
  }
  return await runGuestCommand(context, connect, { vm: vm.id, ...what });
}
