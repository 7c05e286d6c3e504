import type { AgentSession } from "../../guest/agent_session.ts";
import { BangerError, reasonOf } from "../../model/errors.ts";
import type { ByteLink } from "../../wire/link.ts";
import type { ExecRequest } from "../../wire/messages.ts";
import { Mux, runMux } from "../../wire/mux.ts";
import type { MuxStream } from "../../wire/mux_stream.ts";
import type { RawPath } from "./raw_path.ts";
import { relayRaw } from "./relay_raw.ts";

/**
 * Serves one upgraded client connection: its single stream becomes the command `exec` in the guest.
 * What the client's OPEN frame asks for is not looked at; `exec` was checked before. Settles when
 * the connection is over; never rejects.
 */
export async function relayExec(
  client: ByteLink,
  session: AgentSession,
  raw: RawPath,
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
      join(accepted, session, raw, exec).finally(finished.resolve);
    },
  });
  // The client closes when it has read the reply; until then the link stays open for it.
  await Promise.race([runMux(client, mux), finished.promise.then(() => mux.closed)]);
}

async function join(
  accepted: MuxStream,
  session: AgentSession,
  raw: RawPath,
  exec: ExecRequest,
): Promise<void> {
  let opened: MuxStream;
  try {
    opened = session.open({ method: "exec", exec });
  } catch (error) {
    accepted.reset(
      error instanceof BangerError ? error.message : `Cannot reach the guest: ${reasonOf(error)}`,
    );
    return;
  }
  await relayRaw(accepted, opened, raw);
}
