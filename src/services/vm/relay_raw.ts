import type { Channel } from "../../wire/frame.ts";
import type { ByteLink } from "../../wire/link.ts";
import type { MuxStream, StreamEnd } from "../../wire/mux_stream.ts";
import { rawControl, rawGo, type RawName, rawWhole } from "../../wire/raw.ts";
import type { RawPath } from "./raw_path.ts";

/** Bytes of one read from a raw connection. */
const chunkBytes = 256 * 1024;

/**
 * Joins the stream of a client to that of an exec in the guest, as `relayStream` does, and lets the
 * exec's channels move to raw connections when the guest offers it (`src/wire/raw.ts`). The client
 * sees no difference. Settles when both have ended; never rejects.
 */
export async function relayRaw(
  accepted: MuxStream,
  opened: MuxStream,
  path: RawPath,
): Promise<void> {
  await new RawRelay(accepted, opened, path).run();
}

class RawRelay {
  readonly #accepted: MuxStream;
  readonly #opened: MuxStream;
  readonly #path: RawPath;
  readonly #offered = new Set<RawName>();
  readonly #links = new Map<RawName, ByteLink>();
  /** Outputs that came to their end, as the guest says and as the connection showed. */
  readonly #told = new Set<RawName>();
  readonly #got = new Set<RawName>();
  readonly #drained = Promise.withResolvers<void>();
  #over = false;

  constructor(accepted: MuxStream, opened: MuxStream, path: RawPath) {
    this.#accepted = accepted;
    this.#opened = opened;
    this.#path = path;
  }

  async run(): Promise<void> {
    const [accepted, opened] = [this.#accepted, this.#opened];
    accepted.onControl = (message) => opened.control(message);
    opened.onControl = (message) => this.#onControl(message);
    const answers = [this.#passOutput(0, "stdout"), this.#passOutput(1, "stderr")];
    const requests = [this.#passInput()];
    accepted.ended.then((end) => {
      if (end.how !== "reset") return;
      opened.reset(end.reason);
      this.#close();
    });
    const end = await opened.ended;
    this.#drained.resolve();
    if (end.how === "reset") this.#close();
    await Promise.all(answers);
    this.#close();
    this.#answer(end);
    await Promise.all(requests);
  }

  #answer(end: StreamEnd): void {
    if (end.how === "reset") this.#accepted.reset(end.reason);
    else if (this.#isWhole()) this.#accepted.close(end.reply);
    else this.#accepted.reset("the guest's network failed while the command ran");
  }

  #isWhole(): boolean {
    return this.#told.isSubsetOf(this.#got);
  }

  #onControl(message: unknown): void {
    const control = rawControl(message);
    switch (control?.control) {
      case "raw_offer":
        void this.#take(control.name, control.ticket);
        return;
      case "raw_drained":
        this.#drained.resolve();
        return;
      case "raw_end":
        if (!control.givenUp) this.#told.add(control.name);
        return;
      case "raw_answer":
        return;
      default:
        this.#accepted.control(message);
    }
  }

  /** Each channel can be offered once. */
  async #take(name: RawName, ticket: string): Promise<void> {
    const isNew = !this.#offered.has(name);
    this.#offered.add(name);
    const link = isNew ? await this.#path.claim(ticket) : null;
    const taken = link !== null && await this.#begin(name, link);
    this.#opened.control({ control: "raw_answer", name, taken });
  }

  async #begin(name: RawName, link: ByteLink): Promise<boolean> {
    if (this.#over || this.#opened.isEnded) {
      link.close();
      return false;
    }
    this.#links.set(name, link);
    if (name === "stdin") return true;
    try {
      await link.write(Uint8Array.of(rawGo));
    } catch {
      // What the guest may have read of the pipe is lost: only the counts can tell.
    }
    return true;
  }

  async #passOutput(channel: Channel, name: "stdout" | "stderr"): Promise<void> {
    const accepted = this.#accepted;
    try {
      for (;;) {
        const bytes = await this.#opened.read(channel);
        if (bytes === null) break;
        await accepted.write(bytes, channel);
      }
      const link = this.#links.get(name);
      if (link !== undefined) await this.#passLink(link, channel, name);
      accepted.end(channel);
    } catch {
      // One of the two streams has ended; `run` tells the other.
    }
  }

  async #passLink(link: ByteLink, channel: Channel, name: RawName): Promise<void> {
    const buffer = new Uint8Array(chunkBytes);
    // The last byte that came waits at the start of the buffer: it may be the mark of the end.
    for (let kept = 0;; kept = 1) {
      const count = await link.read(buffer.subarray(kept)).catch(() => null);
      if (count === null) {
        if (kept === 1 && buffer[0] === rawWhole) this.#got.add(name);
        return;
      }
      const end = kept + count - 1;
      await this.#accepted.write(buffer.subarray(0, end), channel);
      buffer[0] = buffer[end]!;
    }
  }

  async #passInput(): Promise<void> {
    let raw: ByteLink | undefined;
    let isRead = true;
    try {
      for (;;) {
        const bytes = await this.#accepted.read(0);
        if (bytes === null) break;
        raw ??= await this.#switchInput();
        if (raw === undefined) await this.#opened.write(bytes);
        // A program that does not read any more gets nothing; its client is not kept waiting.
        else if (isRead) isRead = await raw.write(bytes).then(() => true, () => false);
      }
      this.#opened.end(0);
    } catch {
      // One of the two streams has ended; `run` tells the other.
    } finally {
      // The end of this one-way connection is the end of stdin.
      this.#links.get("stdin")?.close();
    }
  }

  /** Ends the stream's channel and goes on over the raw connection, if there is one. */
  async #switchInput(): Promise<ByteLink | undefined> {
    const link = this.#links.get("stdin");
    if (link === undefined) return undefined;
    this.#opened.end(0);
    await this.#drained.promise;
    await link.write(Uint8Array.of(rawGo)).catch(() => {});
    return link;
  }

  #close(): void {
    this.#over = true;
    this.#drained.resolve();
    for (const link of this.#links.values()) link.close();
  }
}
