import { BangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";

/** Bytes that can still be written below `dir`, by df(1). */
export async function freeBytes(dir: string, signal: AbortSignal): Promise<number> {
  const { stdout } = await run("df", ["--output=avail", "--block-size=1", "--", dir], {
    signal,
    timeoutMs: 10_000,
  });
  const free = Number(new TextDecoder().decode(stdout).trim().split("\n").at(-1));
  if (Number.isSafeInteger(free)) return free;
  throw new BangerError("internal", `Cannot tell the free space of "${dir}": df printed no number`);
}

/** @throws BangerError `exhausted` when less than `neededBytes` are free in `dir` */
export async function checkSpace(
  what: string,
  dir: string,
  neededBytes: number,
  signal: AbortSignal,
): Promise<void> {
  const free = await freeBytes(dir, signal);
  if (free < neededBytes) throw noSpace(what, dir, neededBytes, free);
}

/** The error for a disk that is full; `freeNow` is `null` when it filled up on the way. */
export function noSpace(
  what: string,
  dir: string,
  neededBytes: number,
  freeNow: number | null,
  cause?: unknown,
): BangerError {
  const state = freeNow === null ? "the disk filled up" : `only ${size(freeNow)} are free`;
  return new BangerError(
    "exhausted",
    `Cannot ${what}: it needs about ${size(neededBytes)} free in "${dir}", ${state}`,
    {
      hint: "Free space there, or set XDG_STATE_HOME to a directory on a larger disk",
      code: "NO_SPACE",
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

function size(bytes: number): string {
  const mib = bytes / 1024 ** 2;
  return mib >= 1000 ? `${(mib / 1024).toFixed(1)} GiB` : `${Math.floor(mib)} MiB`;
}
