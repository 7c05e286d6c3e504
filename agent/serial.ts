import { acceptSessions } from "../src/wire/handshake.ts";
import { encodeFrame, frameTypes } from "../src/wire/frame.ts";
import type { ByteLink } from "../src/wire/link.ts";
import { writeAll } from "../src/wire/write_all.ts";
import type { AgentContext } from "./context.ts";
import { serveStream } from "./serve_stream.ts";
import { sleep } from "./sleep.ts";
import { welcome } from "./welcome.ts";

/** A virtio-serial port without a host reads as ended; it is looked at again after so long. */
const pollMs = 50;

/**
 * Serves sessions over file descriptors 0 and 1, which are an opened virtio-serial port; runs until
 * the process ends. The first bytes tell a host that had a session with an earlier agent process
 * that it is gone; a host that waits for its `Welcome` skips them.
 */
export async function serveSerial(context: AgentContext): Promise<void> {
  const link = stdioLink();
  const started = new TextEncoder().encode("the agent was started again");
  link.write(encodeFrame(frameTypes.reset, 0, started)).catch(() => {});
  for (;;) {
    await acceptSessions(link, {
      welcome,
      onStream: (stream) => void serveStream(context, stream),
    });
    await sleep(pollMs);
  }
}

function stdioLink(): ByteLink {
  let queue: Promise<void> = Promise.resolve();
  return {
    read: (buffer) => Deno.stdin.read(buffer),
    write: (bytes) => {
      const turn = queue.then(() => writeAll(Deno.stdout, bytes));
      queue = turn.catch(() => {});
      return turn;
    },
    close: () => {},
  };
}
