import type { MuxStream } from "../src/wire/mux_stream.ts";
import type { RawJoiner } from "./raw_joiner.ts";
import type { RawPipes } from "./raw_pipes.ts";

/**
 * Writes channel 0 to the program; when it does not read any more, the rest is thrown away. Much
 * input moves to a raw connection. Never rejects.
 */
export async function forwardInput(
  stream: MuxStream,
  stdin: WritableStream<Uint8Array>,
  raw: RawPipes,
): Promise<void> {
  const writer = stdin.getWriter();
  let open = true;
  let moved = 0;
  let offer: Promise<RawJoiner | null> | undefined;
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
      if (offer === undefined && open && raw.wants(moved)) offer = raw.offer("stdin");
    }
    const joiner = await offer;
    await writer.close().catch(() => {});
    if (joiner) stream.control({ control: "raw_drained" });
  } catch {
    // The stream was reset; the program is being ended.
    await writer.close().catch(() => {});
  }
}
