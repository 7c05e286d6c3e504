import assert from "node:assert/strict";
import fc from "fast-check";
import { isBangerError, reasonOf } from "../model/errors.ts";
import type { ByteLink } from "./byte_link.ts";
import { isDeeperThan } from "./json_depth.ts";
import { memoryLinks } from "./memory_links.ts";
import {
  clientLimits,
  type IncomingCall,
  RpcPeer,
  RpcResponseError,
  serverLimits,
} from "./rpc_peer.ts";
import { Serialised } from "./serialised.ts";

const encoder = new TextEncoder();
const tick = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
const encodeError = (error: unknown) => ({ code: -32000, message: reasonOf(error) });

type Handler = (method: string, params: unknown, call: IncomingCall) => unknown;

function server(link: ByteLink, onRequest: Handler, limits: object = {}): RpcPeer {
  return new RpcPeer(link, { ...serverLimits, ...limits, encodeError, onRequest });
}

function client(link: ByteLink, onNotification = (_: string, __: unknown) => {}): RpcPeer {
  return new RpcPeer(link, {
    ...clientLimits,
    encodeError,
    onNotification,
    onRequest: () => Promise.reject(new Error("no calls")),
  });
}

function pair(onRequest: Handler, onNotification?: (method: string, params: unknown) => void) {
  const [left, right] = memoryLinks();
  return { server: server(right, onRequest), client: client(left, onNotification), left };
}

/** Everything that `link` sends until it ends, or until `lines` lines have come. */
async function readLines(link: ByteLink, lines: number): Promise<Record<string, unknown>[]> {
  const buffer = new Uint8Array(65536);
  let text = "";
  while (text.split("\n").length <= lines) {
    const n = await link.read(buffer);
    if (n === null) break;
    text += new TextDecoder().decode(buffer.subarray(0, n));
  }
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

Deno.test("calls, errors and notifications both ways", async () => {
  const seen: unknown[] = [];
  const { server, client } = pair(
    (method, params) =>
      method === "add"
        ? Promise.resolve({ sum: (params as { a: number; b: number }).a + 1 })
        : Promise.reject(new Error(`no ${method}`)),
    (method, params) => seen.push([method, params]),
  );
  server.notify("event", { n: 1 });
  assert.deepEqual(await client.request("add", { a: 1 }), { sum: 2 });
  await assert.rejects(client.request("x", {}), (e) => {
    assert.ok(e instanceof RpcResponseError);
    return e.error.message === "no x";
  });
  assert.deepEqual(seen, [["event", { n: 1 }]]);
  client.close();
  await server.closed;
  await client.closed;
});

Deno.test("a withdrawn request aborts its handler; the connection goes on", async () => {
  let aborted = 0;
  const { server, client } = pair((method, _, call) =>
    method === "wait"
      ? new Promise((_, reject) =>
        call.signal.addEventListener("abort", () => {
          aborted++;
          reject(call.signal.reason);
        })
      )
      : Promise.resolve({})
  );
  const stop = new AbortController();
  const call = client.request("wait", {}, stop.signal);
  await tick();
  stop.abort(new Error("enough"));
  await assert.rejects(call, /enough/);
  await client.request("other", {});
  assert.equal(aborted, 1);
  await assert.rejects(client.request("other", {}, AbortSignal.abort(new Error("no"))), /no/);
  client.close();
  await server.closed;
});

Deno.test("a signal that is asked for after the withdrawal is aborted", async () => {
  const gate = Promise.withResolvers<void>();
  const seen = Promise.withResolvers<AbortSignal>();
  const { client } = pair(async (_method, _params, call) => {
    await gate.promise;
    seen.resolve(call.signal);
  });
  const stop = new AbortController();
  const call = client.request("slow", {}, stop.signal);
  await tick();
  stop.abort(new Error("enough"));
  await assert.rejects(call, /enough/);
  await tick();
  gate.resolve();
  const { aborted, reason } = await seen.promise;
  assert.ok(aborted && isBangerError(reason, "cancelled"));
  client.close();
});

Deno.test("answers that are there at once keep their order, and what is thrown is an error", async () => {
  const { client } = pair((method) => {
    if (method === "throw") throw new Error("thrown");
    return method === "later" ? Promise.resolve({ later: true }) : { n: Number(method) };
  });
  const order: unknown[] = [];
  const calls = ["1", "later", "2", "3"].map(async (method) => {
    order.push(await client.request(method, {}));
  });
  await Promise.all(calls);
  assert.deepEqual(order, [{ n: 1 }, { n: 2 }, { n: 3 }, { later: true }]);
  await assert.rejects(client.request("throw", {}), /thrown/);
  client.close();
});

Deno.test("a connection that ends aborts handlers and fails callers", async () => {
  let aborted = 0;
  const { server, client } = pair((_, __, call) =>
    new Promise(() => call.signal.addEventListener("abort", () => aborted++))
  );
  const calls = [client.request("a", {}), client.request("b", {})];
  await tick();
  server.close();
  for (const call of calls) await assert.rejects(call, (e) => isBangerError(e, "unavailable"));
  await client.closed;
  assert.equal(aborted, 2);
  await assert.rejects(client.request("c", {}), (e) => isBangerError(e, "unavailable"));
});

Deno.test("an upgraded connection carries raw bytes, also those sent at once", async () => {
  const { server, client } = pair((_, __, call) => {
    call.upgrade(async (link) => {
      await link.write(encoder.encode("{raw"));
      const buffer = new Uint8Array(3);
      let text = "";
      for (let n = await link.read(buffer); n !== null; n = await link.read(buffer)) {
        text += new TextDecoder().decode(buffer.subarray(0, n));
        if (text.endsWith("!")) break;
      }
      await link.write(encoder.encode(text.toUpperCase()));
    });
    return Promise.resolve({ upgraded: true });
  });
  const { result, link } = await client.requestUpgrade("exec", {});
  assert.deepEqual(result, { upgraded: true });
  await link.write(encoder.encode('hello\n{"jsonrpc'));
  await link.write(encoder.encode('":1}\n!'));
  const buffer = new Uint8Array(100);
  let text = "";
  for (let n = await link.read(buffer); n !== null; n = await link.read(buffer)) {
    text += new TextDecoder().decode(buffer.subarray(0, n));
  }
  assert.equal(text, '{rawHELLO\n{"JSONRPC":1}\n!');
  await Promise.all([server.closed, client.closed]);
});

Deno.test("a failed upgrade leaves the connection as it was", async () => {
  const { server, client } = pair((method, _, call) => {
    if (method === "ping") return Promise.resolve({});
    call.upgrade(() => Promise.resolve());
    return Promise.reject(new Error("not now"));
  });
  await assert.rejects(client.requestUpgrade("exec", {}), /not now/);
  await client.request("ping", {});
  client.close();
  await server.closed;
});

Deno.test("bad frames are answered, and too many of them end the connection", async () => {
  const [left, right] = memoryLinks();
  const peer = server(right, () => Promise.resolve({ ok: true }));
  const frames = [
    "nonsense",
    "[]",
    '{"jsonrpc":"2.0","id":1,"method":7}',
    '{"jsonrpc":"1.0","id":2,"method":"x"}',
    '{"jsonrpc":"2.0","id":{},"method":"x"}',
    "[".repeat(65) + "]".repeat(65),
  ];
  for (const frame of frames) await left.write(encoder.encode(`${frame}\n`));
  await left.write(new Uint8Array([0x22, 0xff, 0xfe, 0x22, 0x0a]));
  await left.write(encoder.encode('\n{"jsonrpc":"2.0","id":"good","method":"x"}\n'));
  const answers = await readLines(left, 8);
  const codes = answers.map((a) => (a["error"] as { code: number } | undefined)?.code);
  assert.deepEqual(codes, [-32700, -32600, -32600, -32600, -32600, -32600, -32700, undefined]);
  assert.deepEqual(answers.map((a) => a["id"]), [null, null, 1, 2, null, null, null, "good"]);
  await left.write(encoder.encode("x\n"));
  await peer.closed;
});

Deno.test("a line of 64 MiB costs neither memory nor the answer", async () => {
  const [left, right] = memoryLinks();
  const peer = server(right, () => Promise.resolve({}));
  const megabyte = new Uint8Array(1024 * 1024).fill(0x20);
  let sent = 0;
  for (; sent < 64; sent++) {
    try {
      await left.write(megabyte);
      await tick();
    } catch {
      break;
    }
  }
  await peer.closed;
  assert.ok(sent < 8, `${sent} MiB were taken`);
  const [answer] = await readLines(left, 1);
  assert.match(JSON.stringify(answer), /longer than 1048576 bytes/);
});

Deno.test("too many calls at once are refused, one id twice also", async () => {
  const gate = Promise.withResolvers<object>();
  const [left, right] = memoryLinks();
  const peer = server(right, () => gate.promise, { maxInFlight: 2 });
  for (const id of [1, 2, 2, 3]) {
    await left.write(encoder.encode(`{"jsonrpc":"2.0","id":${id},"method":"x"}\n`));
  }
  const refused = await readLines(left, 2);
  assert.match(JSON.stringify(refused[0]), /in use/);
  assert.match(JSON.stringify(refused[1]), /too many/);
  gate.resolve({ done: true });
  assert.equal((await readLines(left, 2)).length, 2);
  peer.close();
});

Deno.test("an id is free again once it is answered, and so is its place", async () => {
  const [left, right] = memoryLinks();
  server(right, (method) => {
    if (method === "now") return {};
    return method === "later" ? Promise.resolve({}) : Promise.reject(new Error("refused"));
  }, { maxInFlight: 1 });
  for (const method of ["now", "later", "fail", "now", "later", "fail"]) {
    await left.write(encoder.encode(`{"jsonrpc":"2.0","id":1,"method":"${method}"}\n`));
    const [answer] = await readLines(left, 1);
    assert.equal("result" in answer!, method !== "fail", JSON.stringify(answer));
    if (method === "fail") assert.match(JSON.stringify(answer), /refused/);
  }
  left.close();
});

Deno.test("a client learns why its frame was refused", async () => {
  const { client } = pair(() => Promise.resolve({}));
  const call = client.request("x", { text: "y".repeat(2 * 1024 * 1024) });
  await assert.rejects(call, (e) => isBangerError(e, "invalid") && /longer than/.test(e.message));
});

Deno.test("a result that is no JSON becomes an error", async () => {
  const { server, client } = pair(() => Promise.resolve({ n: 1n }));
  await assert.rejects(client.request("x", {}), /Internal error/);
  client.close();
  await server.closed;
});

Deno.test("whatever bytes come in whatever pieces, the peer survives or closes", async () => {
  const line = fc.oneof(
    fc.json(),
    fc.string({ unit: "binary" }),
    fc.record({
      jsonrpc: fc.constantFrom("2.0", 2, null),
      id: fc.anything(),
      method: fc.constantFrom("ok", "fail", "rpc.cancel", 3),
      params: fc.anything(),
    }).map((m) => {
      try {
        return JSON.stringify(m);
      } catch {
        return "{";
      }
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 12 }), fc.integer({ min: 1, max: 40 }), async (
      lines,
      step,
    ) => {
      const [left, right] = memoryLinks();
      const peer = server(
        right,
        (method) => method === "ok" ? Promise.resolve({}) : Promise.reject(new Error("no")),
      );
      const bytes = encoder.encode(lines.join("\n") + "\n");
      for (let at = 0; at < bytes.length; at += step) {
        await left.write(bytes.subarray(at, at + step)).catch(() => {});
      }
      await tick();
      left.close();
      await peer.closed;
    }),
    { numRuns: 60 },
  );
});

Deno.test("depth is counted outside of strings only", () => {
  fc.assert(fc.property(fc.json({ maxDepth: 6 }), fc.nat(8), (json, limit) => {
    const depth = (value: unknown): number =>
      typeof value === "object" && value !== null
        ? 1 + Math.max(0, ...Object.values(value).map(depth))
        : 0;
    assert.equal(isDeeperThan(limit, encoder.encode(json)), depth(JSON.parse(json)) > limit);
  }));
});

Deno.test("a result that is JSON already is sent as it is, in order with the others", async () => {
  const bytes = encoder.encode('{"a":[1,"ü"]}');
  const { server, client } = pair((method) =>
    Promise.resolve(method === "ready" ? new Serialised(bytes) : { method })
  );
  const answers = await Promise.all(
    ["ready", "plain", "ready"].map((method) => client.request(method, {})),
  );
  assert.deepEqual(answers, [{ a: [1, "ü"] }, { method: "plain" }, { a: [1, "ü"] }]);
  client.close();
  await server.closed;
});
