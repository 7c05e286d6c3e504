import type { Channel } from "../../../wire/frame.ts";
import { type LaneChannel, laneControl } from "../../../wire/lane.ts";
import type { MuxStream, StreamEnd } from "../../../wire/mux_stream.ts";
import { joinLane } from "./join_lane.ts";
import type { LaneLease, Lanes } from "./lanes.ts";
import { receiveLane } from "./receive_lane.ts";

/** What is joined to a stream of the guest: a client's stream, or what stands for one. */
export type RelayedStream = Pick<
  MuxStream,
  "read" | "write" | "end" | "control" | "onControl" | "close" | "reset" | "ended"
>;

/**
 * Joins the stream of a client to that of an exec in the guest: bytes, ends, signals and the reply
 * pass through unchanged, with the flow control of both. Channels move to lanes when the guest offers it
 * (`src/wire/lane.ts`); the client sees no difference. Settles when both have ended; never rejects.
 */
export async function relayExec(
  accepted: RelayedStream,
  opened: MuxStream,
  lanes: Pick<Lanes, "lease">,
): Promise<void> {
  await new ExecRelay(accepted, opened, lanes).run();
}

const brokenLane = "a lane of the command broke, and bytes were lost";

/** A channel that was offered a lane. */
class OfferedChannel {
  lease: LaneLease | null = null;
  /** What the guest sent after the nonce; `null` when the nonce did not come. */
  joining: Promise<Uint8Array | null> = Promise.resolve(null);
  /** The guest says that it has joined. */
  isJoined = false;
  /** Settles with {@linkcode isJoined} when it says so or will not. */
  readonly settled = Promise.withResolvers<boolean>();
  /** How many bytes the guest says it sent, or took, over the lane. */
  readonly total = Promise.withResolvers<number>();
}

class ExecRelay {
  readonly #accepted: RelayedStream;
  readonly #opened: MuxStream;
  readonly #lanes: Pick<Lanes, "lease">;
  readonly #offered = new Map<LaneChannel, OfferedChannel>();
  #isBroken = false;
  #isInputOver = false;
  #isOver = false;

  constructor(accepted: RelayedStream, opened: MuxStream, lanes: Pick<Lanes, "lease">) {
    this.#accepted = accepted;
    this.#opened = opened;
    this.#lanes = lanes;
  }

  async run(): Promise<void> {
    const [accepted, opened] = [this.#accepted, this.#opened];
    accepted.onControl = (message) => {
      // A client has no say in lanes.
      if (laneControl(message) === null) opened.control(message);
    };
    opened.onControl = (message) => this.#onControl(message);
    const answers = [this.#passOutput(0, "stdout"), this.#passOutput(1, "stderr")];
    const request = this.#passInput();
    accepted.ended.then((end) => {
      if (end.how !== "reset") return;
      opened.reset(end.reason);
      this.#release();
    });
    const end = await opened.ended;
    if (end.how === "reset") {
      // A client that does not read is not waited for.
      accepted.reset(end.reason);
      this.#release();
    }
    // A guest that has not told by now never will.
    for (const { total, settled } of this.#offered.values()) {
      total.resolve(-1);
      settled.resolve(false);
    }
    await Promise.all(answers);
    this.#release();
    this.#answer(end);
    await request;
  }

  #answer(end: StreamEnd): void {
    if (end.how === "reset") return;
    if (this.#isBroken) this.#accepted.reset(brokenLane);
    else this.#accepted.close(end.reply);
  }

  #onControl(message: unknown): void {
    const control = laneControl(message);
    if (control === null) {
      this.#accepted.control(message);
      return;
    }
    const { channel } = control;
    const offered = this.#offered.get(channel);
    switch (control.control) {
      case "lane_offer":
        // Each channel once.
        if (offered === undefined) void this.#offer(channel);
        return;
      case "lane_outcome":
        if (offered === undefined) return;
        offered.isJoined = control.outcome === "joined";
        offered.settled.resolve(offered.isJoined);
        if (!offered.isJoined) offered.lease?.release(control.outcome !== "failed");
        return;
      case "lane_end":
        offered?.total.resolve(control.bytes);
        // The program takes no more input.
        if (channel === "stdin") offered?.lease?.release();
        return;
      case "lane_answer":
        return;
    }
  }

  async #offer(channel: LaneChannel): Promise<void> {
    const offered = new OfferedChannel();
    this.#offered.set(channel, offered);
    const isTooLate = this.#isOver || (channel === "stdin" && this.#isInputOver);
    const lease = isTooLate ? null : await this.#lanes.lease();
    if (lease === null || this.#isOver) {
      lease?.release();
      offered.settled.resolve(false);
      // It may be offered again.
      this.#offered.delete(channel);
      this.#opened.control({ control: "lane_answer", channel, lane: null, nonce: "" });
      return;
    }
    const { lane, nonce, link } = lease;
    offered.lease = lease;
    offered.joining = joinLane(link, nonce);
    this.#opened.control({ control: "lane_answer", channel, lane, nonce });
    if (await offered.joining === null) lease.release(false);
  }

  async #passOutput(channel: Channel, name: "stdout" | "stderr"): Promise<void> {
    const accepted = this.#accepted;
    const write = (bytes: Uint8Array) => accepted.write(bytes, channel);
    try {
      for (;;) {
        const bytes = await this.#opened.read(channel);
        if (bytes === null) break;
        await write(bytes);
      }
      const offered = this.#offered.get(name);
      if (!offered?.isJoined || await this.#receive(offered, write)) accepted.end(channel);
      else this.#break();
    } catch {
      // One of the two streams has ended; `run` tells the other.
    }
  }

  /** Passes what comes over the lane; false when it is not whole. @throws what `write` throws */
  async #receive(
    { lease, joining, total }: OfferedChannel,
    write: (bytes: Uint8Array) => Promise<void>,
  ): Promise<boolean> {
    const first = await joining;
    if (lease === null || first === null) return false;
    const isWhole = await receiveLane(lease.link, first, total.promise, write);
    lease.release(isWhole);
    return isWhole;
  }

  async #passInput(): Promise<void> {
    let lane: LaneLease | undefined;
    let sent = 0;
    try {
      for (;;) {
        const bytes = await this.#accepted.read(0);
        if (bytes === null) break;
        lane ??= await this.#switchInput();
        if (lane === undefined) await this.#opened.write(bytes);
        else if (await this.#send(lane, bytes)) sent += bytes.length;
      }
      this.#isInputOver = true;
      this.#opened.end(0);
      // The guest may be joining: it waits for the end of what it has joined.
      if (await this.#offered.get("stdin")?.settled.promise) lane ??= await this.#switchInput();
      if (lane === undefined) return;
      await lane.link.closeWrite().catch(() => {});
      this.#opened.control({ control: "lane_end", channel: "stdin", bytes: sent });
    } catch {
      // One of the two streams has ended; `run` tells the other.
    }
  }

  /** Whether all went into the lane. */
  async #send(lane: LaneLease, bytes: Uint8Array): Promise<boolean> {
    // A program that does not read any more gets nothing; its client is not kept waiting.
    if (lane.isReleased) return false;
    try {
      await lane.link.write(bytes);
      return true;
    } catch {
      if (!lane.isReleased) this.#break();
      return false;
    }
  }

  /** Ends the stream's channel and goes on over the lane, if the guest has joined one. */
  async #switchInput(): Promise<LaneLease | undefined> {
    const offered = this.#offered.get("stdin");
    if (!offered?.isJoined) return undefined;
    if (offered.lease === null || await offered.joining === null) {
      this.#break();
      return undefined;
    }
    this.#opened.end(0);
    return offered.lease;
  }

  /** Bytes of the command are lost: it is ended, and its client told. */
  #break(): void {
    this.#isBroken = true;
    this.#opened.reset(brokenLane);
  }

  #release(): void {
    this.#isOver = true;
    for (const { lease } of this.#offered.values()) lease?.release();
  }
}
