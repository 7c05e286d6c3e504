import { BangerError, reasonOf } from "../../model/errors.ts";
import type { ByteLink } from "../../wire/link.ts";
import type { ExecRequest } from "../../wire/messages.ts";
import { Mux, runMux } from "../../wire/mux.ts";
import type { MuxStream } from "../../wire/mux_stream.ts";
import type { LiveVm } from "./live.ts";
import { relayExec } from "./lanes/relay_exec.ts";

/**
 * Serves one upgraded client connection: its single stream becomes the command `exec` in the guest.
 * What the client's OPEN frame asks for is not looked at; `exec` was checked before. Settles when
 * the connection is over; never rejects.
 */
export async function serveExec(
  client: ByteLink,
  live: Pick<LiveVm, "session" | "lanes" | "execs">,
  exec: ExecRequest,
): Promise<void> {
  let used = false;
  const finished = Promise.withResolvers<void>();
  const mux = new Mux(client, {
    side: "acceptor",
    onStream: (accepted) => {
      if (used) {
        accepted.reset("one command a connection");
        return;
      }
      used = true;
      live.execs += 1;
      join(accepted, live, exec).finally(() => {
        live.execs -= 1;
        finished.resolve();
      });
    },
  });
  // The client closes when it has read the reply; until then the link stays open for it.
  await Promise.race([runMux(client, mux), finished.promise.then(() => mux.closed)]);
}

async function join(
  accepted: MuxStream,
  live: Pick<LiveVm, "session" | "lanes">,
  exec: ExecRequest,
): Promise<void> {
  let opened: MuxStream;
  try {
    opened = live.session.open({ method: "exec", exec });
  } catch (error) {
    accepted.reset(
      error instanceof BangerError ? error.message : `Cannot reach the guest: ${reasonOf(error)}`,
    );
    return;
  }
  await relayExec(accepted, opened, live.lanes);
}
