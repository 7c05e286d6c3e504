import type { AgentReply, AgentRequest, AgentResult } from "../src/wire/messages.ts";
import type { MuxStream } from "../src/wire/mux_stream.ts";
import { checkRequest } from "./check.ts";
import type { AgentContext } from "./context.ts";
import { exec } from "./exec.ts";
import { failureReply } from "./failure.ts";
import { forward } from "./forward.ts";
import { health } from "./health.ts";
import { applyIdentity } from "./identity.ts";
import { listeningPorts } from "./ports.ts";
import { openSession } from "./session.ts";
import { shutdown } from "./shutdown.ts";
import { stats } from "./stats.ts";
import { watchPorts } from "./watch_ports.ts";

/** Answers the request of one stream. Never rejects: whatever fails becomes the reply. */
export async function serveStream(context: AgentContext, stream: MuxStream): Promise<void> {
  let reply: AgentReply;
  try {
    reply = { ok: true, result: await answer(context, checkRequest(stream.request), stream) };
  } catch (error) {
    reply = failureReply(error);
  }
  stream.close(reply);
}

async function answer(
  context: AgentContext,
  request: AgentRequest,
  stream: MuxStream,
): Promise<AgentResult> {
  switch (request.method) {
    case "health":
      return { method: "health", health: await health(context) };
    case "identity":
      return { method: "identity", ...await applyIdentity(context, request.identity) };
    case "exec":
      return { method: "exec", exit: await exec(context, request.exec, stream) };
    case "session":
      await openSession(context, request.id, request.exec);
      return { method: "session" };
    case "ports":
      return { method: "ports", ports: listeningPorts(context.root) };
    case "forward":
      await forward(context, request.port, stream);
      return { method: "forward" };
    case "watch_ports":
      await watchPorts(context, stream);
      return { method: "watch_ports" };
    case "stats":
      return { method: "stats", stats: await stats(context) };
    case "shutdown":
      await shutdown(context, request.how);
      return { method: "shutdown" };
  }
}
