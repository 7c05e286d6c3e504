import {
  type Channel,
  encodeFrame,
  FrameDecoder,
  type FrameSink,
  frameTypes,
  maxFrameBytes,
} from "./frame.ts";
import { decodeJson, encodeJson } from "./json.ts";
import { type ByteLink, LinkError } from "./link.ts";
import { type Hello, protocolVersions } from "./messages.ts";
import { asLinkError, Mux, readLink } from "./mux.ts";
import type { MuxStream } from "./mux_stream.ts";

/** How the host starts a session. */
export interface StartOptions {
  /** 32 hexadecimal digits, never used before. */
  readonly nonce: string;
  /** The guest has just been started, so that no half-sent frame can be on the link. */
  readonly fresh: boolean;
  /** Bounds the wait for the answer; the session itself goes on after that. */
  readonly signal: AbortSignal;
}

/** A session that the guest has answered. */
export interface StartedSession {
  readonly mux: Mux;
  /** JSON of the `Welcome`; its shape is still to be checked. */
  readonly welcome: unknown;
}

/** Frames of type `pad`, the same for all sessions. */
let padding: Uint8Array | undefined;

const magic = `{"magic":"banger-link"`;

/**
 * Starts a session over `link`, which belongs to the session from now on: it is closed when the
 * session ends, and when the start fails. Everything that comes before the answer with this nonce
 * is thrown away.
 *
 * @throws LinkError; the signal's reason when it is aborted first
 */
export async function startSession(link: ByteLink, options: StartOptions): Promise<StartedSession> {
  options.signal.throwIfAborted();
  const mux = new Mux(link, { side: "starter" });
  const decoder = new FrameDecoder();
  decoder.hunt(frameTypes.welcome, `${magic},"nonce":"${options.nonce}"`);
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const sink: FrameSink = {
    onData: (id, channel, bytes) => mux.onData(id, channel, bytes),
    onFrame: (type, id, payload) => {
      if (type === frameTypes.welcome && id === 0) resolve(decodeJson(payload));
      else mux.onFrame(type, id, payload);
    },
  };
  const onAbort = () => reject(options.signal.reason);
  options.signal.addEventListener("abort", onAbort, { once: true });
  mux.closed.then((error) => {
    reject(error);
    link.close();
  });
  readLink(link, decoder, sink).then(
    () => mux.end(new LinkError("ended", "the link ended")),
    (error) => mux.end(asLinkError(error)),
  );
  const hello: Hello = {
    magic: "banger-link",
    nonce: options.nonce,
    versions: protocolVersions,
  };
  const frame = encodeFrame(frameTypes.hello, 0, encodeJson(hello));
  const write = async () => {
    if (!options.fresh) await link.write(padding ??= new Uint8Array(maxFrameBytes));
    await link.write(frame);
  };
  try {
    const [welcome] = await Promise.all([promise, write()]);
    return { mux, welcome };
  } catch (error) {
    mux.end(asLinkError(error));
    throw error;
  } finally {
    options.signal.removeEventListener("abort", onAbort);
  }
}

/** What the accepting side of a link does. */
export interface AcceptOptions {
  /** The `Welcome` for a checked `Hello`. */
  readonly welcome: (hello: Hello) => unknown;
  readonly onStream: (stream: MuxStream) => void;
}

/**
 * Serves the sessions that come over `link`, one after the other: a HELLO ends the session before
 * it, a broken rule ends the session and the next HELLO is waited for. Returns when the link ends; does
 * not close it. Never rejects.
 */
export async function acceptSessions(link: ByteLink, options: AcceptOptions): Promise<void> {
  const decoder = new FrameDecoder();
  const huntHello = () => decoder.hunt(frameTypes.hello, magic);
  let mux: Mux | null = null;
  const sink: FrameSink = {
    onData: (id: number, channel: Channel, bytes) => mux?.onData(id, channel, bytes),
    onFrame: (type, id, payload) => {
      if (type !== frameTypes.hello || id !== 0) {
        mux?.onFrame(type, id, payload);
        return;
      }
      const hello = checkHello(decodeJson(payload));
      mux?.end(new LinkError("ended", "a new session began"));
      mux = new Mux(link, { side: "acceptor", onStream: options.onStream });
      mux.sendSession(frameTypes.welcome, encodeJson(options.welcome(hello)));
    },
  };
  const take = (bytes: Uint8Array) => {
    for (let left = bytes; left.length > 0;) {
      try {
        decoder.push(left, sink);
        return;
      } catch (error) {
        mux?.end(asLinkError(error), true);
        mux = null;
        left = decoder.rest;
        huntHello();
      }
    }
  };
  huntHello();
  const buffer = new Uint8Array(64 * 1024);
  try {
    for (;;) {
      const count = await link.read(buffer);
      if (count === null) break;
      take(buffer.subarray(0, count));
    }
    endMux(mux, new LinkError("ended", "the link ended"));
  } catch (error) {
    endMux(mux, asLinkError(error));
  }
}

function endMux(mux: Mux | null, error: LinkError): void {
  mux?.end(error);
}

function checkHello(value: unknown): Hello {
  const hello = value as Partial<Hello> | null;
  const versions = hello?.versions;
  if (
    typeof hello?.nonce !== "string" || !/^[0-9a-f]{32}$/.test(hello.nonce) ||
    typeof versions?.lowest !== "number" ||
    typeof versions.highest !== "number"
  ) throw new LinkError("protocol", "not a Hello");
  return { magic: "banger-link", nonce: hello.nonce, versions };
}

/** The highest version that both speak; 0 when there is none. */
export function commonVersion(
  peer: { readonly lowest: number; readonly highest: number },
): number {
  const highest = Math.min(peer.highest, protocolVersions.highest);
  return highest >= Math.max(peer.lowest, protocolVersions.lowest) ? highest : 0;
}
