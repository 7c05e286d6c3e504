import assert from "node:assert/strict";
import type { LoopbackConnection } from "./loopback_connection.ts";
import { ListenError, listenOnLoopback, type LoopbackListener } from "./loopback_listener.ts";

/** A port of the kernel's choice, free a moment ago. */
function somePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function pair(): Promise<
  { listener: LoopbackListener; client: Deno.TcpConn; served: LoopbackConnection }
> {
  const { promise, resolve } = Promise.withResolvers<LoopbackConnection>();
  const listener = await listenOnLoopback(somePort(), resolve);
  const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.port });
  return { listener, client, served: await promise };
}

Deno.test("each direction ends by itself, and what was sent before its end comes", async () => {
  const { listener, client, served } = await pair();
  await client.write(new TextEncoder().encode("ask"));
  await client.closeWrite();
  assert.deepEqual(new TextDecoder().decode(await served.read() ?? undefined), "ask");
  assert.equal(await served.read(), null);
  await served.write(new TextEncoder().encode("answer"));
  served.end();
  assert.equal(await new Response(client.readable).text(), "answer");
  await served.closed;
  listener.close();
});

Deno.test("aborted, the peer sees a reset and no end", async () => {
  const { listener, client, served } = await pair();
  served.abort();
  await assert.rejects(client.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
  client.close();
  await served.closed;
  await assert.rejects(served.read());
  await assert.rejects(served.write(new Uint8Array(1)));
  listener.close();
});

Deno.test("a peer that does not read holds the writer, and nothing is read unasked", async () => {
  const { listener, client, served } = await pair();
  const written = { bytes: 0, isStuck: false };
  const writing = (async () => {
    const chunk = new Uint8Array(1024 * 1024);
    for (let left = 64; left > 0; left--) {
      await served.write(chunk);
      written.bytes += chunk.length;
    }
  })();
  await settled(() => written.bytes);
  assert.ok(written.bytes < 32 * 1024 ** 2, `${written.bytes} bytes were taken`);
  client.close();
  await assert.rejects(writing);
  served.abort();
  listener.close();

  const other = await pair();
  let sent = 0;
  const sending = (async () => {
    for (;;) sent += await other.client.write(new Uint8Array(256 * 1024));
  })().catch(() => {});
  await settled(() => sent);
  assert.ok(sent < 32 * 1024 ** 2, `${sent} bytes were read unasked`);
  other.served.abort();
  await sending;
  other.client.close();
  other.listener.close();
});

/** Waits until the figure has stayed the same for 0.2 s. */
async function settled(figure: () => number): Promise<void> {
  for (let last = -1; last !== figure();) {
    last = figure();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

Deno.test("a port that another has is told apart, and one with connections of before is free", async () => {
  const { listener, client, served } = await pair();
  const isTaken = (error: unknown) => error instanceof ListenError && error.problem === "taken";
  await assert.rejects(listenOnLoopback(listener.port, () => {}), isTaken);
  listener.close();
  // The connection is still open, as those of a daemon that was killed may be.
  const again = await listenOnLoopback(listener.port, () => {});
  again.close();
  served.abort();
  client.close();
  using everywhere = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  await assert.rejects(listenOnLoopback(everywhere.addr.port, () => {}), isTaken);
});

/** Listens with few descriptors, in a process of its own, and says how many connections came. */
const poor = `
import { listenOnLoopback } from "${new URL("./loopback_listener.ts", import.meta.url)}";
let taken = [];
const times = { everyMs: 200, answerMs: 200 };
await listenOnLoopback(Number(Deno.args[0]), (connection) => taken.push(connection), times);
console.log("listening");
for await (const line of Deno.stdin.readable) {
  for (const connection of taken.splice(0)) connection.abort();
  console.log("freed");
}
`;

Deno.test("when there was no descriptor for a connection, later ones are taken all the same", async () => {
  const port = somePort();
  const script = `ulimit -n 45; exec "$0" run --allow-all --no-check - ${port}`;
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, poor);
  const child = new Deno.Command("sh", {
    args: ["-c", script.replace(" - ", ` ${file} `), Deno.execPath()],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const stdin = child.stdin.getWriter();
  assert.equal((await lines.read()).value, "listening\n");
  const many = await Promise.all(
    Array.from({ length: 60 }, () => Deno.connect({ hostname: "127.0.0.1", port })),
  );
  // A connection that is taken and freed is reset; one that nobody has taken is left alone.
  const isTaken = async () => {
    using client = await Deno.connect({ hostname: "127.0.0.1", port });
    const free = setTimeout(() => void stdin.write(new Uint8Array(1)), 100);
    const late = setTimeout(() => client.close(), 1000);
    const how = await client.read(new Uint8Array(1)).catch((error) => error);
    clearTimeout(free);
    clearTimeout(late);
    return how instanceof Deno.errors.ConnectionReset;
  };
  let tries = 0;
  while (!await isTaken().catch(() => false)) assert.ok(++tries < 20, "none is taken any more");
  for (const client of many) client.close();
  child.kill();
  await Promise.all([stdin.close().catch(() => {}), lines.cancel(), child.status]);
  await Deno.remove(file);
});
