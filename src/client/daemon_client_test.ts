import assert from "node:assert/strict";
import { toJsonRpcError } from "../api/codec.ts";
import { BangerError, isBangerError } from "../model/errors.ts";
import { memoryLinks } from "../transport/memory_links.ts";
import { RpcPeer, serverLimits } from "../transport/rpc_peer.ts";
import { DaemonClient } from "./daemon_client.ts";

const version = { version: "1", commit: "c" };

/** A client of a daemon that answers as `answers` says; a missing method fails. */
async function withDaemon(
  answers: Readonly<Record<string, unknown>>,
  body: (client: DaemonClient) => Promise<void>,
): Promise<void> {
  const [near, far] = memoryLinks();
  const daemon = new RpcPeer(far, {
    ...serverLimits,
    encodeError: toJsonRpcError,
    onRequest: (method) => {
      if (Object.hasOwn(answers, method)) return answers[method];
      throw new BangerError("conflict", "Cannot do it", { hint: "do this", code: "NO" });
    },
  });
  const client = new DaemonClient(near);
  try {
    await body(client);
  } finally {
    client.close();
    await Promise.all([client.closed, daemon.closed]);
  }
}

/** Not what the contract says. */
const wrong = { acceleration: { accelerator: "abacus", reason: "quick fingers" } };
const misunderstood = (error: unknown) => {
  assert.ok(isBangerError(error, "internal"), String(error));
  assert.match(error.message, /host\.acceleration: acceleration\.accelerator/);
  return error.hint?.includes("banger daemon stop") ?? false;
};

Deno.test("answers of a daemon of the very same build are taken as they are", async () => {
  const answers = { "daemon.ping": { ...version, build: "b" }, "host.acceleration": wrong };
  await withDaemon(answers, async (client) => {
    assert.deepEqual(await client.greet("b"), { ...version, build: "b" });
    assert.deepEqual(await client.call("host.acceleration", {}), wrong);
  });
});

Deno.test("answers of any other daemon are checked", async () => {
  const pings: readonly (readonly [object, string | null])[] = [
    [{ ...version, build: "other" }, "b"],
    [{ ...version, build: null }, "b"],
    [{ ...version, build: "b" }, null],
    [{ ...version, build: null }, null],
    [version, "b"],
    [version, null],
  ];
  for (const [ping, own] of pings) {
    const answers = { "daemon.ping": ping, "host.acceleration": wrong };
    await withDaemon(answers, async (client) => {
      assert.deepEqual(await client.greet(own), { build: null, ...ping });
      await assert.rejects(client.call("host.acceleration", {}), misunderstood);
    });
  }
});

Deno.test("a daemon that was not greeted, or not after all, is checked", async () => {
  await withDaemon({ "host.acceleration": wrong }, async (client) => {
    await assert.rejects(client.call("host.acceleration", {}), misunderstood);
    await assert.rejects(client.greet("b"), (e) => isBangerError(e, "conflict"));
    await assert.rejects(client.call("host.acceleration", {}), misunderstood);
  });
  for (const ping of [null, {}, "b", { build: 7 }]) {
    await withDaemon({ "daemon.ping": ping }, async (client) => {
      await assert.rejects(client.greet("b"), (e) => isBangerError(e, "internal"));
    });
  }
});

Deno.test("what a checked answer has besides the contract is left out", async () => {
  const more = { acceleration: { accelerator: "tcg", reason: "r", more: 1 }, more: 2 };
  await withDaemon({ "host.acceleration": more }, async (client) => {
    const { acceleration } = await client.call("host.acceleration", {});
    assert.deepEqual(acceleration, { accelerator: "tcg", reason: "r" });
  });
});

Deno.test("failures keep their parts, whatever the daemon is", async () => {
  const answers = { "daemon.ping": { ...version, build: "b" } };
  for (const own of ["b", "other"]) {
    await withDaemon(answers, async (client) => {
      await client.greet(own);
      await assert.rejects(client.call("vm.list", {}), (error) => {
        assert.ok(isBangerError(error, "conflict"));
        assert.deepEqual([error.message, error.hint, error.code], [
          "Cannot do it",
          "do this",
          "NO",
        ]);
        return true;
      });
    });
  }
});
