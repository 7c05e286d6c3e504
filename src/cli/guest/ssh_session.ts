import type { SshTarget } from "../../api/vm.ts";
import { sshArgs } from "../../guest/ssh_args.ts";
import { BangerError } from "../../model/errors.ts";
import { runAttached } from "../../process/run_attached.ts";
import type { CliContext } from "../context.ts";
import { remoteCommand } from "./remote_command.ts";
import { sshAnswers, waitForSsh } from "./wait_for_ssh.ts";

/** What to run over ssh. */
export interface SshSession {
  readonly target: SshTarget;
  /** Empty: a login shell. */
  readonly argv: readonly string[];
  /** Where to land; `null` is the home directory. */
  readonly cwd: string | null;
  readonly env: Readonly<Record<string, string>>;
  readonly terminal: boolean;
}

/** Exit code of ssh(1) itself when it fails; a command in a guest that still answers may have it too. */
const sshFailed = 255;

/**
 * Hands the terminal to the system's `ssh` until it ends, and resolves to the exit code of what ran
 * in the guest.
 *
 * @throws BangerError `precondition` when there is no ssh client, `unavailable` when ssh itself failed
 */
export async function sshSession(context: CliContext, session: SshSession): Promise<number> {
  const { target, argv, cwd, env, terminal } = session;
  const plainShell = argv.length === 0 && cwd === null && Object.keys(env).length === 0;
  const args = sshArgs({
    vmId: target.vmId,
    port: target.port,
    identityFile: target.keyPath,
    knownHostsFile: target.knownHostsPath,
  }, {
    terminal: terminal ? "force" : "none",
    ...(plainShell ? {} : { command: ["sh", "-c", remoteCommand(argv, cwd, env)] }),
  });
  await waitForSsh(session.target);
  let kill: (name: Deno.Signal) => void = () => {};
  // ssh has the terminal in raw mode, so Ctrl-C is a byte for the guest. Other signals are passed on.
  const undo = context.onSignals((signal) => {
    if (signal !== "SIGINT" || !session.terminal) kill(signal);
  });
  try {
    const end = await runAttached("ssh", args, (send) => kill = send);
    if (end.signal !== null) {
      throw new BangerError("cancelled", `ssh was ended by ${end.signal}`);
    }
    if (end.code === sshFailed && !await sshAnswers(target)) throw await sshError(context, target);
    return end.code;
  } finally {
    undo();
  }
}

async function sshError(context: CliContext, target: SshTarget): Promise<BangerError> {
  const hint =
    "banger vm list tells whether the VM still runs; banger vm logs NAME shows its console";
  let state = "the VM cannot be asked";
  try {
    const client = await context.connect({ start: "never" });
    try {
      const { vm } = await client.call("vm.show", { vm: target.vmId });
      state = `the VM is ${vm.state}`;
    } finally {
      client.close();
    }
  } catch {
    // The words above say so.
  }
  return new BangerError("unavailable", `Lost the ssh session: ssh ended with 255, ${state}`, {
    hint,
  });
}
