import type { AgentFailureKind, AgentReply } from "../src/wire/messages.ts";

/** A refusal that the host is told as it is. */
export class Failure extends Error {
  readonly kind: AgentFailureKind;

  constructor(kind: AgentFailureKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** The reply for anything that was thrown; the message is cut to 1000 characters. */
export function failureReply(error: unknown): AgentReply {
  const kind = error instanceof Failure ? error.kind : "internal";
  const message = error instanceof Error ? error.message : String(error);
  return { ok: false, kind, message: message.slice(0, 1000) };
}
