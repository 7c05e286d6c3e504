import * as v from "valibot";
import { fromWireError } from "../api/codec.ts";
import { wireError } from "../api/operation.ts";
import { readLogEnd } from "../log/read_log_end.ts";
import { BangerError, isBangerError } from "../model/errors.ts";
import type { Paths } from "../paths/paths.ts";
import { type DetachedProgram, startDetached } from "../process/start_detached.ts";
import type { ByteLink } from "../transport/byte_link.ts";
import { connectUnix } from "../transport/unix_client.ts";

/** How to start banger again; `src/version` tells. */
export interface BangerCommand {
  readonly program: string;
  readonly args: readonly string[];
  /** Variables that it needs besides the user's. */
  readonly env: Readonly<Record<string, string>>;
}

/** What {@linkcode startDaemon} needs. */
export interface StartOptions {
  readonly paths: Paths;
  readonly command: BangerCommand;
  /** The daemon's whole environment but for the command's own. */
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** How long it may take until it answers. 10 s when left out. */
  readonly timeoutMs?: number;
}

/**
 * Keep the daemon small (docs/performance.md tells how much each gives). V8, through Deno: a small
 * young generation; only what runs really long is compiled by the optimizing compilers; once
 * nothing has happened for half a second unused heap goes back to the system. The C library,
 * mallopt(3): one heap for all threads, and everything large outside it, where freeing returns it.
 */
export const memorySettings = {
  DENO_V8_FLAGS: [
    "--max-semi-space-size=1",
    "--optimize-for-size",
    "--invocation-count-for-maglev=40000",
    "--invocation-count-for-turbofan=300000",
    "--memory-reducer-delay-ms=500",
    "--gc-memory-reducer-start-delay-ms=500",
  ].join(","),
  MALLOC_ARENA_MAX: "1",
  MALLOC_MMAP_THRESHOLD_: "65536",
} as const;
/** Between two looks for its socket; a look costs a tenth of a millisecond. */
const waitMs = 5;
/** A daemon that ended because another one was there is started again after this long. */
const againAfterMs = 500;

/**
 * Starts the daemon and connects as soon as one serves. Several at once are fine: one of the
 * daemons wins, the others end, and all callers connect to the winner.
 *
 * @throws BangerError what the daemon failed with, `timeout` with the end of its log, the reason of
 * `signal`
 */
export async function startDaemon(options: StartOptions): Promise<ByteLink> {
  const { paths, signal } = options;
  const deadlineMs = performance.now() + (options.timeoutMs ?? 10_000);
  let child: DetachedProgram | undefined;
  try {
    let nextStartMs = performance.now();
    while (performance.now() < deadlineMs) {
      signal.throwIfAborted();
      if (child === undefined && performance.now() >= nextStartMs) child = start(options);
      const end = await endedWithin(child, waitMs);
      const link = await tryConnect(paths.daemonSocket);
      if (link !== undefined) return link;
      if (end !== undefined) {
        if (end.code !== 0) throw startFailure(paths, end);
        child?.release();
        child = undefined;
        nextStartMs = performance.now() + againAfterMs;
      }
    }
    throw new BangerError("timeout", "Cannot start the daemon: it did not answer in time", {
      hint: "banger daemon logs tells more",
      detail: readLogEnd(paths.daemonLog, 10),
    });
  } finally {
    child?.release();
  }
}

function start({ command, env }: StartOptions): DetachedProgram {
  const all = { ...env, ...command.env, ...memorySettings, BANGER_ON_DEMAND: "1" };
  return startDetached(command.program, [...command.args, "daemon", "run"], all);
}

type End = Awaited<DetachedProgram["ended"]>;

/** Waits `ms`, or less when the daemon ends. */
async function endedWithin(
  child: DetachedProgram | undefined,
  ms: number,
): Promise<End | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const pause = new Promise<undefined>((resolve) =>
    timer = setTimeout(() => resolve(undefined), ms)
  );
  try {
    return await (child === undefined ? pause : Promise.race([child.ended, pause]));
  } finally {
    clearTimeout(timer);
  }
}

async function tryConnect(path: string): Promise<ByteLink | undefined> {
  try {
    return await connectUnix(path);
  } catch (error) {
    if (isBangerError(error, "unavailable")) return undefined;
    throw error;
  }
}

/** The daemon's own error, which it leaves as the last line of its stderr. */
function startFailure(paths: Paths, end: End): BangerError {
  const lastLine = end.stderr.trimEnd().split("\n").at(-1) ?? "";
  try {
    const wire = v.safeParse(wireError, JSON.parse(lastLine));
    if (wire.success) return fromWireError(wire.output);
  } catch {
    // It did not come as far as to tell: what it said is shown as it is.
  }
  const said = end.stderr.trim();
  return new BangerError("unavailable", `Cannot start the daemon: it ended with code ${end.code}`, {
    hint: "banger daemon logs tells more",
    detail: said === "" ? readLogEnd(paths.daemonLog, 10) : said,
  });
}
