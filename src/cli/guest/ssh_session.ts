import type { ParamsOf, ResultOf } from "../../api/methods.ts";
import type { SshTarget } from "../../api/vm.ts";
import { sshArgs } from "../../guest/ssh_args.ts";
import { BangerError, isBangerError } from "../../model/errors.ts";
import { runAttached } from "../../process/run_attached.ts";
import type { CliContext, DaemonPort } from "../context.ts";
import { interruptible } from "../interruptible.ts";
import { printError } from "../print_error.ts";
import { codeOfRefusal } from "./guest_end.ts";
import { sshAnswers, waitForSsh } from "./wait_for_ssh.ts";

/** What to run over ssh. */
export interface SshSession {
  readonly vm: string;
  readonly command: NonNullable<ParamsOf<"vm.ssh">["command"]>;
  readonly terminal: boolean;
}

/** Exit code of ssh(1) itself when it fails; a command in a guest that still answers may have it too. */
const sshFailed = 255;

/**
 * Hands the terminal to the system's `ssh` until it ends, and resolves to the exit code of what ran
 * in the guest; 127 when there is no such program, 126 when it cannot be executed. What is to run is told to
 * the guest's agent: the ssh client gets the name of a session and nothing else, so that neither its
 * arguments nor a shell in between ever have it.
 *
 * @param connect a connection to the daemon, which is closed while ssh runs
 * @throws BangerError `precondition` when there is no ssh client, `unavailable` when ssh itself failed, `cancelled`
 * by a signal before it ran
 */
export async function sshSession(
  context: CliContext,
  connect: (signal: AbortSignal) => Promise<DaemonPort>,
  wanted: SshSession,
): Promise<number> {
  let way: ResultOf<"vm.ssh">;
  try {
    way = await interruptible(context, (signal) => findWay(context, connect, wanted, signal));
  } catch (error) {
    const code = codeOfRefusal(error);
    if (code === undefined) throw error;
    printError(context.err, error, context.verbose);
    return code;
  }
  return await overSsh(context, way, wanted.terminal);
}

/** Tells the guest what is to run, and waits until its ssh server is there. */
async function findWay(
  context: CliContext,
  connect: (signal: AbortSignal) => Promise<DaemonPort>,
  wanted: SshSession,
  signal: AbortSignal,
): Promise<ResultOf<"vm.ssh">> {
  const client = await connect(signal);
  try {
    const way = await announce(context, client, wanted, signal);
    await waitForSsh(way.target, signal);
    signal.throwIfAborted();
    return way;
  } finally {
    client.close();
  }
}

async function overSsh(
  context: CliContext,
  { target, session }: ResultOf<"vm.ssh">,
  terminal: boolean,
): Promise<number> {
  const args = sshArgs({
    vmId: target.vmId,
    port: target.port,
    identityFile: target.keyPath,
    knownHostsFile: target.knownHostsPath,
  }, {
    terminal: terminal ? "force" : "none",
    ...(session === null ? {} : { session }),
  });
  let kill: (name: Deno.Signal) => void = () => {};
  // ssh has the terminal in raw mode, so Ctrl-C is a byte for the guest. Other signals are passed on.
  const undo = context.onSignals((signal) => {
    if (signal !== "SIGINT" || !terminal) kill(signal);
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

/** Also a guest whose agent does not answer is to be got into: then with the shell of its root. */
async function announce(
  context: CliContext,
  client: DaemonPort,
  { vm, command }: SshSession,
  signal: AbortSignal,
): Promise<ResultOf<"vm.ssh">> {
  try {
    return await client.call("vm.ssh", { vm, command }, signal);
  } catch (error) {
    const isSilent = isBangerError(error, "unavailable") || isBangerError(error, "timeout");
    if (!isSilent || command.argv.length > 0) throw error;
    const plain = await client.call("vm.ssh", { vm, command: null }, signal);
    if (!context.quiet) {
      context.err.write(
        "note: The guest's agent does not answer; this is a plain shell of root's\n",
      );
    }
    return plain;
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
