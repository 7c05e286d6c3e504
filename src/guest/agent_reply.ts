import * as v from "valibot";
import { BangerError } from "../model/errors.ts";
import { guestRefusals } from "../model/guest_refusals.ts";
import type { AgentReply, AgentResult } from "../wire/messages.ts";

const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const amount = v.pipe(v.number(), v.finite(), v.minValue(0));
const word = (maximum: number) => v.pipe(v.string(), v.maxLength(maximum));

/** The `Welcome` as the host accepts it. */
export const welcomeSchema = v.object({
  magic: v.literal("banger-link"),
  nonce: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  version: v.pipe(count, v.maxValue(1000)),
  agentVersion: v.pipe(v.string(), v.regex(/^[0-9A-Za-z.+-]{1,64}$/)),
  uptimeS: amount,
});

const port = v.object({
  protocol: v.picklist(["tcp", "udp"]),
  address: word(64),
  port: v.pipe(count, v.maxValue(65535)),
  process: v.nullable(word(64)),
});

const result = v.variant("method", [
  v.object({
    method: v.literal("health"),
    health: v.object({
      agentVersion: word(64),
      uptimeS: amount,
      initState: word(64),
      sshReady: v.boolean(),
    }),
  }),
  v.object({ method: v.literal("identity"), tookMs: amount }),
  v.object({
    method: v.literal("exec"),
    exit: v.variant("how", [
      v.object({ how: v.literal("exited"), code: v.pipe(count, v.maxValue(255)) }),
      v.object({ how: v.literal("signaled"), signal: v.pipe(count, v.maxValue(64)) }),
    ]),
  }),
  v.object({ method: v.literal("ports"), ports: v.pipe(v.array(port), v.maxLength(1024)) }),
  v.object({
    method: v.literal("stats"),
    stats: v.object({
      // An agent of an earlier banger does not tell these.
      cpu: v.optional(v.nullable(v.object({ totalS: amount, busyS: amount })), null),
      network: v.optional(
        v.nullable(v.object({ receivedBytes: amount, sentBytes: amount })),
        null,
      ),
      sshSessions: v.optional(v.nullable(amount), null),
      load1: amount,
      memoryTotalBytes: count,
      memoryAvailableBytes: count,
      diskTotalBytes: count,
      diskFreeBytes: count,
    }),
  }),
  v.object({ method: v.literal("session") }),
  v.object({ method: v.literal("forward") }),
  v.object({ method: v.literal("watch_ports") }),
  v.object({ method: v.literal("shutdown") }),
]);

const replySchema = v.variant("ok", [
  v.object({ ok: v.literal(true), result }),
  v.object({
    ok: v.literal(false),
    kind: v.picklist(["not_found", "not_executable", "invalid", "internal"]),
    message: word(4096),
  }),
]);

/**
 * What a guest answered to a request of `method`.
 *
 * @throws BangerError `untrusted` for an answer of a wrong shape; the guest's own refusal as
 * `not_found` (code of {@linkcode guestRefusals}), `precondition` (likewise), `invalid` or
 * `internal`
 */
export function checkReply<M extends AgentResult["method"]>(
  method: M,
  value: unknown,
): Extract<AgentResult, { method: M }> {
  const parsed = v.safeParse(replySchema, value);
  if (!parsed.success) {
    throw new BangerError(
      "untrusted",
      `Cannot use the guest's answer: ${parsed.issues[0].message}`,
    );
  }
  const reply: AgentReply = parsed.output;
  if (!reply.ok) throw refusal(method, reply);
  if (reply.result.method !== method) {
    throw new BangerError("untrusted", `Cannot use the guest's answer: it is for another request`);
  }
  return reply.result as Extract<AgentResult, { method: M }>;
}

function refusal(method: string, reply: Extract<AgentReply, { ok: false }>): BangerError {
  // Control characters of a guest must not reach a terminal.
  const why = reply.message.replace(/[\p{Cc}\p{Cf}]/gu, "?");
  const what = method === "exec" || method === "session" ? "the command" : method;
  const message = method === "identity"
    ? `Cannot set up the guest: ${why}`
    : `Cannot run ${what} in the guest: ${why}`;
  switch (reply.kind) {
    case "not_found":
      return new BangerError("not_found", message, { code: guestRefusals.notFound });
    case "not_executable":
      return new BangerError("precondition", message, { code: guestRefusals.notExecutable });
    case "invalid":
      return new BangerError("invalid", message);
    case "internal":
      return new BangerError("internal", message);
  }
}
