/** A byte channel of an exec that can move to a lane. */
export type LaneChannel = "stdin" | "stdout" | "stderr";

/**
 * A lane is a virtio-serial port beside the agent's that carries the bytes of one channel of one exec
 * in one direction; in the guest, native programs of the kit move them between the port and the
 * program's pipe. The control messages of the exec's stream, in this order:
 *
 * 1. guest → host `lane_offer`: the channel carried much. The channel goes on as it is meanwhile.
 * 2. The host takes a free lane, connects to its socket, and sends `lane_answer` with the lane's
 *    number and a nonce that was never used before; `lane: null` when none is free.
 * 3. Over the lane: the guest opens the port and writes a line with the nonce; the host throws away
 *    what comes before it, which an earlier use left, and writes the line back; the guest does likewise.
 * 4. guest → host `lane_outcome`. When it is `joined`, the sender of the channel's bytes ends the
 *    stream's channel where it likes, and sends the rest over the lane. Else the channel stays where
 *    it is and is not offered again: `cancelled` because it came to its end meanwhile, `failed`
 *    because the lane does not work.
 * 5. The sender ends with `lane_end` and the number of bytes that it sent over the lane. The end of
 *    stdin is the end of the lane, too: the host closes its direction of the socket.
 * 6. For stdin the guest sends `lane_end` as well, when nothing more is taken: at its end, or because
 *    the program has closed it.
 *
 * The guest closes the stream (its reply) only when nothing of it has a lane open any more. A side
 * that does not know these messages ignores them: the channel then stays where it is.
 */
export type LaneControl =
  | { readonly control: "lane_offer"; readonly channel: LaneChannel }
  | {
    readonly control: "lane_answer";
    readonly channel: LaneChannel;
    readonly lane: number | null;
    readonly nonce: string;
  }
  | {
    readonly control: "lane_outcome";
    readonly channel: LaneChannel;
    readonly outcome: "joined" | "cancelled" | "failed";
  }
  | { readonly control: "lane_end"; readonly channel: LaneChannel; readonly bytes: number };

/** How many lanes a VM has: three execs with bulk on both sides, or six with one. */
export const laneCount = 6;

/** Length of a nonce: hexadecimal digits. */
export const laneNonceChars = 64;

/** The name of a lane's virtio-serial port (`/dev/virtio-ports/NAME`, sysfs attribute `name`). */
export function lanePortName(lane: number): string {
  return `banger.lane.${lane}`;
}

/** Reads a control message of these; `null` for any other and for a wrong shape. */
export function laneControl(value: unknown): LaneControl | null {
  if (typeof value !== "object" || value === null) return null;
  const { control, channel, lane, nonce, outcome, bytes } = value as Record<string, unknown>;
  if (channel !== "stdin" && channel !== "stdout" && channel !== "stderr") return null;
  switch (control) {
    case "lane_offer":
      return { control, channel };
    case "lane_answer":
      if (lane === null) return { control, channel, lane, nonce: "" };
      if (!isCount(lane) || lane >= laneCount) return null;
      if (typeof nonce !== "string" || !/^[0-9a-f]{64}$/.test(nonce)) return null;
      return { control, channel, lane, nonce };
    case "lane_outcome":
      return outcome === "joined" || outcome === "cancelled" || outcome === "failed"
        ? { control, channel, outcome }
        : null;
    case "lane_end":
      return isCount(bytes) ? { control, channel, bytes } : null;
    default:
      return null;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
