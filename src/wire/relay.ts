import type { Channel } from "./frame.ts";
import type { MuxStream } from "./mux_stream.ts";

/**
 * Joins a stream that was accepted on one session to one that was opened on another: bytes, ends,
 * control messages and the reply pass through unchanged, with the flow control of both. Settles
 * when both have ended; never rejects.
 */
export async function relayStream(accepted: MuxStream, opened: MuxStream): Promise<void> {
  accepted.onControl = (message) => opened.control(message);
  opened.onControl = (message) => accepted.control(message);
  const answers = [pass(opened, accepted, 0), pass(opened, accepted, 1)];
  const requests = [pass(accepted, opened, 0), pass(accepted, opened, 1)];
  accepted.ended.then((end) => {
    if (end.how === "reset") opened.reset(end.reason);
  });
  const end = await opened.ended;
  if (end.how === "closed") {
    await Promise.all(answers);
    accepted.close(end.reply);
  } else {
    accepted.reset(end.reason);
  }
  await Promise.all([...answers, ...requests]);
}

/** Copies one channel until it ends or one of the streams has ended. */
async function pass(from: MuxStream, to: MuxStream, channel: Channel): Promise<void> {
  try {
    for (;;) {
      const bytes = await from.read(channel);
      if (bytes === null) break;
      await to.write(bytes, channel);
    }
    to.end(channel);
  } catch {
    // One of the two has ended; `relayStream` tells the other.
  }
}
