import type { MuxStream } from "../src/wire/mux_stream.ts";
import type { RawName } from "../src/wire/raw.ts";
import { rawControl, rawTicketChars } from "../src/wire/raw.ts";
import { ChildPipes } from "./child_pipes.ts";
import { exists, readText, writeText } from "./files.ts";
import type { RawJoiner } from "./raw_joiner.ts";
import type { RawListener } from "./raw_listener.ts";

/** A channel is offered when so many bytes went over the agent link. */
export const rawAfterBytes = 512 * 1024;

/** A host that does not answer by then does not know raw connections. */
const answerMs = 5_000;

/** The channels of one exec that may move to raw connections; see `src/wire/raw.ts`. */
export class RawPipes {
  readonly #listener: RawListener;
  readonly #stream: MuxStream;
  readonly #pipes: ChildPipes;
  readonly #asked = new Map<RawName, (taken: boolean) => void>();
  readonly #tickets: string[] = [];
  #refused = false;

  /** To be made in the turn in which the child was spawned. */
  constructor(listener: RawListener, stream: MuxStream, childPid: number) {
    this.#listener = listener;
    this.#stream = stream;
    this.#pipes = new ChildPipes(childPid);
  }

  /** Whether a channel that carried `moved` bytes should be offered now. */
  wants(moved: number): boolean {
    return moved >= rawAfterBytes && !this.#refused && this.#listener.isUp();
  }

  /** Takes a control message of the stream. */
  onControl(message: unknown): void {
    const control = rawControl(message);
    if (control?.control === "raw_answer") this.#asked.get(control.name)?.(control.taken);
  }

  /**
   * Offers a channel. Answers the program that has the pipe now, `null` when all stays as it was:
   * nothing of the pipe was touched then.
   */
  async offer(name: RawName): Promise<RawJoiner | null> {
    const pipe = this.#pipes.pathOf(name);
    if (pipe === undefined) return null;
    const ticket = crypto.getRandomValues(new Uint8Array(rawTicketChars / 2)).toHex();
    const path = `${this.#listener.dir}/${ticket}`;
    this.#tickets.push(path);
    writeText(path, `${name === "stdin" ? "in" : "out"} ${pipe}\n`, 0o600);
    const answer = Promise.withResolvers<boolean>();
    this.#asked.set(name, answer.resolve);
    // A connection that took the ticket belongs to a host that will answer.
    const timer = setTimeout(() => claim(path) && answer.resolve(false), answerMs);
    this.#stream.ended.then(() => answer.resolve(false));
    this.#stream.control({ control: "raw_offer", name, ticket });
    const taken = await answer.promise;
    clearTimeout(timer);
    if (taken && Number(readText(`${path}.taken`)) > 0) return { ticket: path };
    this.#refused = true;
    // Whoever else answered the host has none of this pipe: the exec cannot go on as it should.
    if (taken) this.#stream.reset("a raw connection did not reach the agent");
    return null;
  }

  /** Removes what is left of the tickets; to be called when the exec is over. */
  forget(): void {
    for (const ticket of this.#tickets) {
      for (const path of [ticket, ...["taken", "pid", "end"].map((what) => `${ticket}.${what}`)]) {
        if (exists(path)) Deno.removeSync(path);
      }
    }
  }
}

/** Makes sure that nobody takes the ticket any more; `false` when it is taken. */
function claim(ticket: string): boolean {
  try {
    Deno.writeTextFileSync(`${ticket}.taken`, "0\n", { createNew: true, mode: 0o600 });
    return true;
  } catch {
    return false;
  }
}
