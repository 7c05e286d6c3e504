/**
 * The host's side of a guest: the agent session, the guest kit's disk, ssh keys and argv.
 *
 * Owns what the host says to a guest and what it believes of the answers. Must not import
 * anything above rank 1 except its own folder: it knows no VM, no store and no VMM.
 */
import * as v from "valibot";
import { BangerError, isBangerError } from "../model/errors.ts";
import { startSession } from "../wire/handshake.ts";
import { type ByteLink, LinkError } from "../wire/link.ts";
import {
  type AgentRequest,
  type AgentResult,
  protocolVersions,
  type Welcome,
} from "../wire/messages.ts";
import type { Mux } from "../wire/mux.ts";
import type { MuxStream } from "../wire/mux_stream.ts";
import { checkReply, welcomeSchema } from "./agent_reply.ts";
import type { AgentSession, CallOptions } from "./agent_session.ts";
import { execStream, streamFailure } from "./exec_stream.ts";

/** How a session is started. */
export interface ConnectOptions {
  /** The guest has just been started and no session was had with it. */
  readonly fresh: boolean;
  /** 32 random hexadecimal digits. */
  readonly nonce: string;
  readonly signal: AbortSignal;
  /** Bound on the wait for the guest's answer. */
  readonly timeoutMs: number;
}

/**
 * Starts a session with the agent at the other end of `link`, which it owns from now on. Can be
 * called before the guest has booted: the answer comes when the agent runs.
 *
 * @throws BangerError `timeout`, `cancelled`, `unavailable` (the link ended), `precondition` (no
 * common protocol version), `untrusted` (an answer of a wrong shape)
 */
export async function connectAgent(link: ByteLink, options: ConnectOptions): Promise<AgentSession> {
  // Not setTimeout: its first use takes the thread 10 ms, and a daemon that takes over its VMs needs no other.
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const signal = AbortSignal.any([options.signal, timeout]);
  const { nonce, fresh } = options;
  try {
    const { mux, welcome } = await startSession(link, { nonce, fresh, signal });
    try {
      return agentSession(mux, checkWelcome(welcome));
    } catch (error) {
      mux.end(new LinkError("protocol", "the guest's answer was refused"));
      throw error;
    }
  } catch (cause) {
    if (isBangerError(cause)) throw cause;
    throw connectFailure(cause, options.signal.aborted, timeout.aborted, options.timeoutMs);
  }
}

function connectFailure(
  cause: unknown,
  cancelled: boolean,
  timedOut: boolean,
  timeoutMs: number,
): BangerError {
  if (cancelled) return new BangerError("cancelled", "Stopped waiting for the guest", { cause });
  if (timedOut) {
    const seconds = Math.round(timeoutMs / 1000);
    return new BangerError("timeout", `Cannot reach the guest: no answer within ${seconds} s`, {
      hint: "banger vm logs shows its console",
      cause,
    });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BangerError("unavailable", `Cannot reach the guest: ${why}`, { cause });
}

function checkWelcome(value: unknown): Welcome {
  const parsed = v.safeParse(welcomeSchema, value);
  if (!parsed.success) {
    const why = parsed.issues[0].message;
    throw new BangerError("untrusted", `Cannot use the guest's first answer: ${why}`);
  }
  const { version, agentVersion } = parsed.output;
  if (version >= protocolVersions.lowest && version <= protocolVersions.highest) {
    return parsed.output;
  }
  throw new BangerError(
    "precondition",
    `Cannot talk to the guest: its agent ${agentVersion} speaks no protocol version of this banger`,
    { hint: "Stop and start the VM: it then gets this banger's own guest kit" },
  );
}

function agentSession(mux: Mux, welcome: Welcome): AgentSession {
  const open = (request: AgentRequest): MuxStream => {
    try {
      return mux.open(request);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const message = `Cannot ask the guest for ${request.method}: ${why}`;
      const isLimit = cause instanceof LinkError && cause.reason === "limit";
      throw new BangerError(isLimit ? "exhausted" : "unavailable", message, { cause });
    }
  };
  const call = async <M extends AgentResult["method"]>(
    request: AgentRequest & { method: M },
    options: CallOptions = {},
    usualMs = 10_000,
  ): Promise<Extract<AgentResult, { method: M }>> =>
    checkReply(request.method, await reply(open(request), request.method, options, usualMs));
  return {
    welcome,
    closed: mux.closed.then((error) => error.message),
    health: async (options) => (await call({ method: "health" }, options)).health,
    identity: async (identity, options) => {
      const { tookMs } = await call({ method: "identity", identity }, options, 30_000);
      return { tookMs };
    },
    exec: (exec) => execStream(open({ method: "exec", exec })),
    session: async (id, exec, options) => {
      await call({ method: "session", id, exec }, options, exec.argv.length > 0 ? 75_000 : 10_000);
    },
    ports: async (options) => (await call({ method: "ports" }, options)).ports,
    stats: async (options) => (await call({ method: "stats" }, options)).stats,
    shutdown: async (how, options) => {
      await call({ method: "shutdown", how }, options);
    },
    open,
    close: () => mux.end(new LinkError("ended", "the host closed the session")),
  };
}

async function reply(
  stream: MuxStream,
  method: string,
  options: CallOptions,
  usualMs: number,
): Promise<unknown> {
  const timeoutMs = options.timeoutMs ?? usualMs;
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    stream.reset("given up");
  }, timeoutMs);
  const onAbort = () => stream.reset("given up");
  if (options.signal?.aborted) onAbort();
  options.signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const end = await stream.ended;
    if (end.how === "closed") return end.reply;
    if (!timedOut) throw streamFailure(method, end.reason);
    throw new BangerError("timeout", `Cannot finish ${method} in the guest: no answer in time`);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", onAbort);
  }
}
