import { BangerError } from "../model/errors.ts";
import type { Channel } from "../wire/frame.ts";
import { LinkError } from "../wire/link.ts";
import type { ExecExit } from "../wire/messages.ts";
import type { MuxStream } from "../wire/mux_stream.ts";
import { checkReply } from "./agent_reply.ts";
import type { ExecStream, GuestSignal } from "./agent_session.ts";

/** A guest program over the stream that its exec request opened. */
export function execStream(stream: MuxStream): ExecStream {
  const exit = exitOf(stream);
  // A caller that gave up may never look at it.
  exit.catch(() => {});
  return {
    stdin: inputOf(stream),
    stdout: outputOf(stream, 0),
    stderr: outputOf(stream, 1),
    exit,
    signal: (signal: GuestSignal) => stream.control({ control: "signal", signal }),
    abort: () => stream.reset("given up"),
  };
}

async function exitOf(stream: MuxStream): Promise<ExecExit> {
  const end = await stream.ended;
  if (end.how === "closed") return checkReply("exec", end.reply).exit;
  throw streamFailure("exec", end.reason);
}

/** The error for a request whose stream was aborted for `reason`. */
export function streamFailure(method: string, reason: string): BangerError {
  return reason === "given up"
    ? new BangerError("cancelled", `Stopped ${method} in the guest: cancelled`)
    : new BangerError("unavailable", `Cannot finish ${method} in the guest: ${reason}`);
}

function inputOf(stream: MuxStream): WritableStream<Uint8Array> {
  return new WritableStream({
    start: (controller) => {
      stream.ended.then(() => controller.error(new LinkError("closed", "the program has ended")));
    },
    write: (bytes) => stream.write(bytes),
    close: () => stream.end(),
    abort: () => stream.end(),
  });
}

function outputOf(stream: MuxStream, channel: Channel): ReadableStream<Uint8Array> {
  let cancelled = false;
  return new ReadableStream({
    async pull(controller) {
      const bytes = await stream.read(channel);
      if (cancelled) return;
      if (bytes === null) controller.close();
      else controller.enqueue(bytes);
    },
    cancel() {
      cancelled = true;
      void drain(stream, channel);
    },
  }, { highWaterMark: 0 });
}

/** Throws away what still comes, so that the program is not blocked by output nobody wants. */
async function drain(stream: MuxStream, channel: Channel): Promise<void> {
  try {
    while (await stream.read(channel) !== null);
  } catch {
    // The stream was aborted.
  }
}
