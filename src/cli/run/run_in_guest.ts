import type { VmView } from "../../api/vm.ts";
import type { CliContext, DaemonPort } from "../context.ts";
import { runGuestCommand } from "../guest/run_guest_command.ts";
import { sshSession } from "../guest/ssh_session.ts";
import { workspaceDir } from "../workspace_dir.ts";

/** What to run. */
export interface GuestRun {
  /** Empty: a login shell. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** A login shell of the guest's own choice that reads commands from its stdin. */
const shellArgv = ["/bin/sh", "-c", 'exec "${SHELL:-/bin/sh}" -l'];

/**
 * Runs a command or shell in the VM's workspace: through ssh with a terminal of its own when stdin
 * and stdout are terminals, else through the agent, byte for byte. Resolves to its exit code.
 */
export async function runInGuest(
  context: CliContext,
  client: DaemonPort,
  vm: VmView,
  { command, env }: GuestRun,
): Promise<number> {
  const cwd = workspaceDir(vm.workspace);
  if (context.input.isTerminal && context.out.isTerminal) {
    const { target } = await client.call("vm.ssh", { vm: vm.id });
    return await sshSession(context, { target, argv: command, cwd, env, terminal: true });
  }
  const argv = command.length === 0 ? shellArgv : [...command];
  const own = await context.connect({ start: "never" });
  return await runGuestCommand(context, own, {
    vm: vm.id,
    argv,
    cwd,
    env: { ...env },
    user: null,
    imageDefaults: true,
  });
}
