/**
 * Commands in a guest, as the CLI runs them: over the agent's streams or over ssh.
 *
 * Must not import the daemon's side; the guest's answers are untrusted and checked here.
 */
import { reasonOf } from "../../model/errors.ts";
import type { ByteLink } from "../../wire/link.ts";
import type { StreamControl } from "../../wire/messages.ts";
import { Mux, runMux } from "../../wire/mux.ts";
import type { MuxStream } from "../../wire/mux_stream.ts";
import type { ParamsOf } from "../../api/methods.ts";
import type { DaemonPort } from "../context.ts";
import { type GuestEnd, guestEnd } from "./guest_end.ts";

/** What a command in a guest reads and writes. */
export interface GuestIo {
  /** The next bytes for its stdin, `null` at the end; left out, it gets no stdin. */
  readonly readStdin?: () => Promise<Uint8Array | null>;
  readonly onStdout: (bytes: Uint8Array) => Promise<void>;
  readonly onStderr: (bytes: Uint8Array) => Promise<void>;
}

/** Parameters of {@linkcode GuestCommand.start}, but whether there is a stdin. */
export type GuestCommandParams = Omit<ParamsOf<"vm.exec">, "stdin">;

/** A command that runs in a guest. */
export class GuestCommand {
  readonly #stream: MuxStream;
  readonly #link: ByteLink;
  readonly #over: Promise<unknown>;

  /**
   * Starts a command over a connection of its own, which this takes over.
   *
   * @throws BangerError as the daemon answers
   */
  static async start(
    client: DaemonPort,
    params: GuestCommandParams,
    stdin: boolean,
    signal?: AbortSignal,
  ): Promise<GuestCommand> {
    const { link } = await client.upgrade("vm.exec", { ...params, stdin }, signal)
      .catch((error) => {
        client.close();
        throw error;
      });
    const mux = new Mux(link, { side: "starter" });
    const over = runMux(link, mux);
    // What it asks for is in the parameters, which the daemon has checked.
    const { argv, cwd, env, user } = params;
    const stream = mux.open({ method: "exec", exec: { argv, cwd, env, user, stdin } });
    return new GuestCommand(link, stream, over);
  }

  private constructor(link: ByteLink, stream: MuxStream, over: Promise<unknown>) {
    this.#link = link;
    this.#stream = stream;
    this.#over = over;
  }

  /** Sends a signal to the command's process group. */
  signal(name: StreamControl["signal"]): void {
    this.#stream.control({ control: "signal", signal: name } satisfies StreamControl);
  }

  /** Lets go of the command; the guest ends it (SIGHUP, then SIGKILL). */
  abandon(reason: string): void {
    this.#stream.reset(reason);
  }

  /**
   * Moves bytes until the command has ended and its output is written.
   *
   * @throws whatever `io` throws (the command is ended then); BangerError `unavailable` when guest
   * or daemon go away, and as {@linkcode guestEnd} says
   */
  async finish(io: GuestIo): Promise<GuestEnd> {
    const stream = this.#stream;
    const output = Promise.all([
      this.#pump(0, io.onStdout),
      this.#pump(1, io.onStderr),
    ]);
    // Not awaited: a read of the terminal cannot be taken back when the command has ended.
    const input = io.readStdin === undefined ? undefined : this.#feed(io.readStdin);
    const inputFailed = Promise.withResolvers<never>();
    input?.catch(inputFailed.reject);
    try {
      await Promise.race([output, inputFailed.promise]);
      const end = await stream.ended;
      return guestEnd(end);
    } catch (error) {
      stream.reset(reasonOf(error));
      // What a pump says about a broken stream is less than what the stream itself knows.
      const end = await stream.ended;
      if (end.how === "reset" && isLinkFailure(error)) return guestEnd(end);
      throw error;
    } finally {
      inputFailed.promise.catch(() => {});
      this.#link.close();
      await this.#over;
    }
  }

  async #pump(channel: 0 | 1, write: (bytes: Uint8Array) => Promise<void>): Promise<void> {
    for (;;) {
      const bytes = await this.#stream.read(channel);
      if (bytes === null) return;
      await write(bytes);
    }
  }

  async #feed(read: () => Promise<Uint8Array | null>): Promise<void> {
    for (;;) {
      const bytes = await read();
      if (this.#stream.isEnded) return;
      if (bytes === null) {
        this.#stream.end(0);
        return;
      }
      try {
        await this.#stream.write(bytes);
      } catch (error) {
        // The command ended, or closed its stdin: what it prints and its code still count.
        if (isLinkFailure(error)) return;
        throw error;
      }
    }
  }
}

function isLinkFailure(error: unknown): boolean {
  return error instanceof Error && error.name === "LinkError";
}
