import type { CliContext, DaemonPort, TerminationSignal } from "../context.ts";
import { codeOfEnd, codeOfRefusal } from "./guest_end.ts";
import { GuestCommand, type GuestCommandParams, type GuestIo } from "./guest_command.ts";
import { interrupted } from "../interruptible.ts";
import { printError } from "../print_error.ts";

const stdinChunkBytes = 64 * 1024;

/**
 * Runs a command in a guest on this process's own standard streams, byte for byte, and resolves to
 * its exit code: its own, 128 + n when signal n killed it, 127 when it is not there, 126 when it
 * cannot be executed. The first Ctrl-C (SIGTERM, SIGHUP) goes to the command, the second ends it.
 *
 * @param connect a connection of its own
 * @throws OutputClosed when nobody reads the output any more (the command is ended);
 * BangerError `unavailable` when guest or daemon go away, `cancelled` by a signal before the command was asked for
 */
export async function runGuestCommand(
  context: CliContext,
  connect: (signal: AbortSignal) => Promise<DaemonPort>,
  params: GuestCommandParams,
  stdin = true,
): Promise<number> {
  const stop = new AbortController();
  let command: GuestCommand | undefined;
  let first: TerminationSignal | undefined;
  let signals = 0;
  // From before the command is asked for: a signal that comes meanwhile ends all of this, not only this process.
  const undo = context.onSignals((signal) => {
    signals += 1;
    first ??= signal;
    if (command === undefined) stop.abort(interrupted(signal));
    else if (signals > 1) command.signal("KILL");
    else command.signal(guestName(signal));
    if (signals > 2) command?.abandon("interrupted");
  });
  try {
    const client = await connect(stop.signal);
    command = await GuestCommand.start(client, params, stdin, stop.signal);
    // One that came when it could be withdrawn no more.
    if (first !== undefined) command.signal(guestName(first));
    return codeOfEnd(await command.finish(standardIo(context, stdin)));
  } catch (error) {
    const code = codeOfRefusal(error);
    if (code === undefined) throw error;
    printError(context.err, error, context.verbose);
    return code;
  } finally {
    undo();
  }
}

function guestName(signal: TerminationSignal): "INT" | "TERM" | "HUP" | "QUIT" {
  return signal.slice("SIG".length) as "INT" | "TERM" | "HUP" | "QUIT";
}

function standardIo(context: CliContext, stdin: boolean): GuestIo {
  const { input, out, err } = context;
  const output = {
    onStdout: (bytes: Uint8Array) => out.writeBytes(bytes),
    onStderr: (bytes: Uint8Array) => err.writeBytes(bytes),
  };
  if (!stdin) return output;
  // Two buffers in turn: the bytes of one may still be on their way while the other is filled.
  const buffers = [new Uint8Array(stdinChunkBytes), new Uint8Array(stdinChunkBytes)] as const;
  let turn = 0;
  return {
    ...output,
    readStdin: async () => {
      const buffer = buffers[(turn++ % 2) as 0 | 1];
      const count = await input.read(buffer);
      return count === null ? null : buffer.subarray(0, count);
    },
  };
}
