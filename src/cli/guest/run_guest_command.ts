import type { CliContext, DaemonPort } from "../context.ts";
import { codeOfEnd, codeOfRefusal } from "./guest_end.ts";
import { GuestCommand, type GuestCommandParams, type GuestIo } from "./guest_command.ts";
import { printError } from "../print_error.ts";

const stdinChunkBytes = 64 * 1024;

/**
 * Runs a command in a guest on this process's own standard streams, byte for byte, and resolves to
 * its exit code: its own, 128 + n when signal n killed it, 127 when it is not there, 126 when it
 * cannot be executed. The first Ctrl-C (SIGTERM, SIGHUP) goes to the command, the second ends it.
 *
 * @param client a connection of its own, which this takes over
 * @throws OutputClosed when nobody reads the output any more (the command is ended);
 * BangerError `unavailable` when guest or daemon go away
 */
export async function runGuestCommand(
  context: CliContext,
  client: DaemonPort,
  params: GuestCommandParams,
  stdin = true,
): Promise<number> {
  const command = await GuestCommand.start(client, params, stdin);
  let signals = 0;
  const undo = context.onSignals((signal) => {
    signals += 1;
    if (signals > 1) command.signal("KILL");
    else command.signal(signal.slice("SIG".length) as "INT" | "TERM" | "HUP" | "QUIT");
    if (signals > 2) command.abandon("interrupted");
  });
  try {
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
