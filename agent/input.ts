import type { MuxStream } from "../src/wire/mux_stream.ts";
import type { ExecLanes } from "./exec_lanes.ts";
import type { LaneMover } from "./lane_mover.ts";

/** Exit code of a program that SIGPIPE (13) ended, as a shell tells it. */
const brokenPipe = 128 + 13;

/**
 * Writes channel 0 to the program; when it does not read any more, the rest is thrown away. Much
 * input moves to a lane. Never rejects.
 */
export async function forwardInput(
  stream: MuxStream,
  stdin: WritableStream<Uint8Array>,
  lanes: ExecLanes,
): Promise<void> {
  const writer = stdin.getWriter();
  let open = true;
  let moved = 0;
  writer.closed.catch(() => open = false);
  try {
    for (let bytes = await stream.read(0); bytes !== null; bytes = await stream.read(0)) {
      if (!open) continue;
      try {
        await writer.write(bytes);
      } catch {
        open = false;
      }
      moved += bytes.length;
      if (open) lanes.passed("stdin", moved);
    }
    const mover = lanes.takeInput();
    if (mover !== null) await finishLane(stream, lanes, mover);
  } catch {
    // The stream was reset; the program is being ended.
  }
  await writer.close().catch(() => {});
}

/**
 * Lets the lane bring the rest. The program's pipe stays open here until all has come: it must not take
 * what a broken lane brought for the whole.
 */
async function finishLane(stream: MuxStream, lanes: ExecLanes, mover: LaneMover): Promise<void> {
  mover.go();
  const end = await mover.ended;
  const sent = end?.code === 0 ? await lanes.sentInput : null;
  const isWhole = end !== null && (end.code === brokenPipe || end.bytes === sent);
  if (!isWhole && !mover.isAborted) stream.reset("a lane broke, and bytes of stdin were lost");
  stream.control({ control: "lane_end", channel: "stdin", bytes: end?.bytes ?? 0 });
}
