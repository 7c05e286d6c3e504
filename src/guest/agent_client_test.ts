import assert from "node:assert/strict";
import { isBangerError } from "../model/errors.ts";
import { encodeFrame, frameTypes } from "../wire/frame.ts";
import { encodeJson } from "../wire/json.ts";
import type { ByteLink } from "../wire/link.ts";
import { memoryLinks } from "../wire/memory_link.ts";
import { connectAgent } from "./agent_client.ts";

const nonce = "0123456789abcdef".repeat(2);
const goodWelcome = {
  magic: "banger-link",
  nonce,
  version: 1,
  agentVersion: "0.1.0",
  uptimeS: 1.5,
};

function connect(link: ByteLink, timeoutMs = 2000, signal = new AbortController().signal) {
  return connectAgent(link, { fresh: true, nonce, signal, timeoutMs });
}

/** A guest that answers with what the test says. */
async function guest(link: ByteLink, welcome: unknown, reply?: unknown): Promise<void> {
  await link.read(new Uint8Array(4096));
  await link.write(encodeFrame(frameTypes.welcome, 0, encodeJson(welcome)));
  if (reply === undefined) return;
  await link.read(new Uint8Array(4096));
  await link.write(encodeFrame(frameTypes.close, 1, encodeJson(reply)));
}

Deno.test("a good answer makes a session, closing it ends the link", async () => {
  const [near, far] = memoryLinks();
  const serving = guest(far, goodWelcome);
  const session = await connect(near);
  await serving;
  assert.equal(session.welcome.agentVersion, "0.1.0");
  session.close();
  assert.match(await session.closed, /host closed/);
  assert.equal(await far.read(new Uint8Array(10)), null);
});

Deno.test("a guest of another protocol is refused with a hint", async () => {
  const [near, far] = memoryLinks();
  const serving = guest(far, { ...goodWelcome, version: 0 });
  await assert.rejects(connect(near), (error) => isBangerError(error, "precondition"));
  await serving;
});

for (
  const [name, welcome] of [
    ["no version", { ...goodWelcome, version: undefined }],
    ["an agent version with control characters", { ...goodWelcome, agentVersion: "\x1b]52;" }],
    ["a negative uptime", { ...goodWelcome, uptimeS: -1 }],
  ] as const
) {
  Deno.test(`a first answer of a wrong shape is refused: ${name}`, async () => {
    const [near, far] = memoryLinks();
    const serving = guest(far, welcome);
    await assert.rejects(connect(near), (error) => isBangerError(error, "untrusted"));
    await serving;
  });
}

Deno.test("no answer is a timeout, an aborted wait is cancelled, a closed link unavailable", async () => {
  const [one, oneFar] = memoryLinks();
  await assert.rejects(connect(one, 20), (error) => isBangerError(error, "timeout"));
  oneFar.close();
  const stop = new AbortController();
  const [two, twoFar] = memoryLinks();
  const waiting = connect(two, 2000, stop.signal);
  stop.abort();
  await assert.rejects(waiting, (error) => isBangerError(error, "cancelled"));
  twoFar.close();
  const [three, threeFar] = memoryLinks();
  threeFar.close();
  await assert.rejects(connect(three), (error) => isBangerError(error, "unavailable"));
});

for (
  const [name, reply, kind] of [
    ["another request's answer", { ok: true, result: { method: "shutdown" } }, "untrusted"],
    ["no object", "yes", "untrusted"],
    ["an unknown kind", { ok: false, kind: "x", message: "" }, "untrusted"],
    ["too many ports", {
      ok: true,
      result: {
        method: "ports",
        ports: Array(1025).fill({ protocol: "tcp", address: "a", port: 1, process: null }),
      },
    }, "untrusted"],
    ["a refusal", { ok: false, kind: "not_found", message: "gone\x1b[2J" }, "not_found"],
  ] as const
) {
  Deno.test(`answers are checked: ${name}`, async () => {
    const [near, far] = memoryLinks(1 << 20);
    const serving = guest(far, goodWelcome, reply);
    const session = await connect(near);
    await assert.rejects(session.ports(), (error) => {
      assert.ok(isBangerError(error, kind));
      // deno-lint-ignore no-control-regex
      assert.doesNotMatch(error.message, /\x1b/);
      return true;
    });
    await serving;
    session.close();
    await session.closed;
  });
}

Deno.test("a call that gets no answer times out and the session lives on", async () => {
  const [near, far] = memoryLinks();
  const serving = guest(far, goodWelcome);
  const session = await connect(near);
  await serving;
  await assert.rejects(
    session.health({ timeoutMs: 20 }),
    (error) => isBangerError(error, "timeout"),
  );
  const stopped = session.health({ signal: AbortSignal.abort() });
  await assert.rejects(stopped, (error) => isBangerError(error, "cancelled"));
  session.close();
  await session.closed;
});
