import assert from "node:assert/strict";
import { toJsonRpcError } from "../api/codec.ts";
import { memoryLinks } from "../transport/memory_links.ts";
import { clientLimits, RpcPeer } from "../transport/rpc_peer.ts";
import type { CallContext } from "./call_context.ts";
import { ClientConnection } from "./client_connection.ts";

Deno.test("a handler knows its client: its notifications arrive, its end is told", async () => {
  const [near, far] = memoryLinks();
  const closed = Promise.withResolvers<void>();
  const calls: CallContext[] = [];
  const connection = new ClientConnection({ link: far, closed: closed.promise }, {
    id: 7,
    dispatch: (method, _params, call) => {
      calls.push(call);
      call.notify("seen", { method });
      return method === "slow" ? new Promise(() => {}) : {};
    },
    encodeError: toJsonRpcError,
    isEnding: () => false,
  });
  const notified: unknown[] = [];
  const client = new RpcPeer(near, {
    ...clientLimits,
    encodeError: toJsonRpcError,
    onRequest: () => assert.fail(),
    onNotification: (method, params) => notified.push([method, params]),
  });
  const slow = assert.rejects(client.request("slow", {}));
  await client.request("quick", {});
  assert.deepEqual(notified, [["seen", { method: "slow" }], ["seen", { method: "quick" }]]);
  assert.ok(calls.every((call) => call.connection === connection && connection.id === 7));
  const ends: string[] = [];
  connection.onClose((reason) => ends.push(reason));
  const taken = connection.onClose(() => ends.push("never"));
  taken();
  const { signal } = calls[0]!;
  assert.equal(signal.aborted, false);
  client.close();
  await slow;
  closed.resolve();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.ok(signal.aborted);
  assert.deepEqual(ends, ["gone"]);
  connection.onClose((reason) => ends.push(`late: ${reason}`));
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(ends, ["gone", "late: gone"]);
});
