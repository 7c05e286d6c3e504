import { BangerError, reasonOf } from "../model/errors.ts";
import type { ByteLink } from "./byte_link.ts";
import { DenoLink } from "./deno_link.ts";

/**
 * Connects to the server at `path`.
 *
 * @throws BangerError `unavailable` when no one serves there (no socket, a stale one, or a server that is ending),
 * `precondition` when it may not be entered
 */
export async function connectUnix(path: string): Promise<ByteLink> {
  try {
    return new DenoLink(await Deno.connect({ transport: "unix", path }));
  } catch (cause) {
    const nobody = cause instanceof Deno.errors.NotFound ||
      cause instanceof Deno.errors.ConnectionRefused || cause instanceof Deno.errors.WouldBlock ||
      // The server has closed its socket while the connection waited to be accepted.
      cause instanceof Deno.errors.ConnectionReset;
    throw new BangerError(
      nobody ? "unavailable" : "precondition",
      `Cannot connect to "${path}": ${nobody ? "no one serves there" : reasonOf(cause)}`,
      { cause },
    );
  }
}
