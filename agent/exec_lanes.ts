import type { MuxStream } from "../src/wire/mux_stream.ts";
import { type LaneChannel, laneControl } from "../src/wire/lane.ts";
import type { AgentContext } from "./context.ts";
import { LaneMover } from "./lane_mover.ts";
import { growPipe } from "./pipe_size.ts";
import { sleep } from "./sleep.ts";

/** A channel is offered when so many bytes went over the agent link. */
export const offerAfterBytes = 512 * 1024;

/** When no lane was free, it is offered again after so many more. */
const offerAgainBytes = 16 * 1024 * 1024;

/** How long joining a lane may take; it starts some small programs. */
const joinMs = 10_000;

/** How often it is looked whether a lane is there. */
const lookMs = 20;

type Answer = { readonly lane: number | null; readonly nonce: string };

/** The pipes that lanes are joined to. */
export interface LanePipes {
  /** This process's descriptor of a channel's pipe; `undefined`: it cannot move to a lane. */
  descriptorOf(channel: LaneChannel): number | undefined | Promise<number | undefined>;
}

interface ChannelState {
  /** Bytes over the agent link at which the channel is offered. */
  offerAt: number;
  phase: "on_link" | "offered" | "ready" | "joined" | "over";
  answer: (answer: Answer | null) => void;
  mover: LaneMover | null;
}

/**
 * The lanes of one exec, or one connection; see `src/wire/lane.ts`. Channels go on over the link while they are being
 * joined to a lane, so that a lane that does not work costs nothing.
 */
export class ExecLanes {
  readonly #context: AgentContext;
  readonly #stream: MuxStream;
  readonly #pipes: LanePipes;
  readonly #channels = new Map<LaneChannel, ChannelState>();
  readonly #sentInput = Promise.withResolvers<number | null>();
  readonly #movers = new Set<LaneMover>();

  constructor(context: AgentContext, stream: MuxStream, pipes: LanePipes) {
    this.#context = context;
    this.#stream = stream;
    this.#pipes = pipes;
    stream.ended.then(() => {
      this.#sentInput.resolve(null);
      for (const channel of this.#channels.values()) channel.answer(null);
    });
  }

  /** How many bytes of stdin the host sent over its lane; `null` when it never says. */
  get sentInput(): Promise<number | null> {
    return this.#sentInput.promise;
  }

  /** Takes a control message of the stream. */
  onControl(message: unknown): void {
    const control = laneControl(message);
    if (control?.control === "lane_answer") this.#channels.get(control.channel)?.answer(control);
    if (control?.control === "lane_end") this.#sentInput.resolve(control.bytes);
  }

  /** Says that `total` bytes of a channel went over the link: it is offered when they are many. */
  passed(channel: LaneChannel, total: number): void {
    const state = this.#state(channel);
    if (state.phase !== "on_link" || total < state.offerAt) return;
    state.phase = "offered";
    this.#join(channel, state, total).catch(() => {
      state.phase = "over";
      this.#tell(channel, "failed");
    });
  }

  /**
   * What moves an output's bytes from now on, once: the caller has no read pending and reads no more.
   * `null` when the channel stays where it is for now.
   */
  takeOutput(channel: LaneChannel): LaneMover | null {
    const state = this.#state(channel);
    if (state.phase !== "ready") return null;
    state.phase = "joined";
    this.#tell(channel, "joined");
    return state.mover;
  }

  /** What moves the rest of stdin, when its channel of the stream has ended; `null` without a lane. */
  takeInput(): LaneMover | null {
    const state = this.#state("stdin");
    if (state.phase === "joined") return state.mover;
    this.cancel("stdin");
    return null;
  }

  /** The channel came to its end: unless it has moved to a lane, it does not any more. */
  cancel(channel: LaneChannel): void {
    const state = this.#state(channel);
    if (state.phase === "joined") return;
    if (state.phase === "ready") this.#tell(channel, "cancelled");
    state.phase = "over";
    state.mover?.abort();
  }

  /** Ends what still moves bytes, and waits for it: no lane is open afterwards. */
  async end(): Promise<void> {
    for (const state of this.#channels.values()) state.phase = "over";
    for (const mover of this.#movers) mover.abort();
    await Promise.all([...this.#movers].map((mover) => mover.ended));
  }

  async #join(channel: LaneChannel, state: ChannelState, total: number): Promise<void> {
    const pipe = await this.#pipes.descriptorOf(channel);
    if (pipe === undefined) {
      state.phase = "over";
      return;
    }
    const { promise, resolve } = Promise.withResolvers<Answer | null>();
    state.answer = resolve;
    this.#stream.control({ control: "lane_offer", channel });
    const answer = await promise;
    if (answer === null || this.#stream.isEnded) return;
    if (answer.lane === null) {
      state.offerAt = total + offerAgainBytes;
      if (state.phase === "offered") state.phase = "on_link";
      return;
    }
    const isReady = await this.#start(channel, state, pipe, answer.lane, answer.nonce);
    if (this.#isOver(state)) this.#tell(channel, "cancelled");
    else if (!isReady) {
      state.phase = "over";
      this.#tell(channel, "failed");
    } else if (channel !== "stdin") state.phase = "ready";
    else {
      state.phase = "joined";
      this.#tell(channel, "joined");
    }
  }

  #isOver(state: ChannelState): boolean {
    return state.phase === "over";
  }

  async #start(
    channel: LaneChannel,
    state: ChannelState,
    pipe: number,
    lane: number,
    nonce: string,
  ): Promise<boolean> {
    const { kit, lanePort } = this.#context;
    const deadline = performance.now() + joinMs;
    let port = lanePort(lane);
    // The host has just plugged it in.
    while (port === undefined && performance.now() < deadline && !this.#isOver(state)) {
      await sleep(lookMs);
      port = lanePort(lane);
    }
    if (port === undefined || this.#isOver(state)) return false;
    growPipe(pipe);
    const mover = new LaneMover({
      kit,
      way: channel === "stdin" ? "in" : "out",
      pipe: `/proc/${Deno.pid}/fd/${pipe}`,
      port,
      nonce,
    });
    state.mover = mover;
    this.#movers.add(mover);
    let isWaiting = true;
    void mover.ended.then(() => this.#movers.delete(mover));
    void sleep(joinMs).then(() => isWaiting && mover.abort());
    const isReady = await mover.ready;
    isWaiting = false;
    if (isReady && !mover.isAborted) return true;
    mover.abort();
    await mover.ended;
    return false;
  }

  #state(channel: LaneChannel): ChannelState {
    const known = this.#channels.get(channel);
    if (known !== undefined) return known;
    const state: ChannelState = {
      offerAt: offerAfterBytes,
      phase: "on_link",
      answer: () => {},
      mover: null,
    };
    this.#channels.set(channel, state);
    return state;
  }

  #tell(channel: LaneChannel, outcome: "joined" | "cancelled" | "failed"): void {
    this.#stream.control({ control: "lane_outcome", channel, outcome });
  }
}
