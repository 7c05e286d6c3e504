/** Ports of this host that lead through a real agent, which is a process here, to servers that are here as well. */
import assert from "node:assert/strict";
import { connectAgent } from "../../src/guest/agent_client.ts";
import type { AgentSession } from "../../src/guest/agent_session.ts";
import { listenOnLoopback } from "../../src/net/loopback_listener.ts";
import { AutoPorts } from "../../src/services/vm/ports/auto_ports.ts";
import { HostPorts } from "../../src/services/vm/ports/host_ports.ts";
import { RunningPorts } from "../../src/services/vm/ports/running_ports.ts";
import { startAgent } from "../support/agent_process.ts";
import { until } from "../support/end_to_end.ts";
import { exchange, freePort, isOpen, someBytes } from "../support/loopback_client.ts";

/** An agent, and what the daemon has for its VM. */
class Guest implements AsyncDisposable {
  readonly hostPorts = new HostPorts({ listen: listenOnLoopback, vms: () => [] });
  readonly ports: RunningPorts;
  readonly session: AgentSession;
  readonly #child: Deno.ChildProcess;

  private constructor(session: AgentSession, child: Deno.ChildProcess) {
    this.session = session;
    this.#child = child;
    this.ports = new RunningPorts({
      session: () => session,
      lanes: { lease: () => Promise.resolve(null) },
      connections: this.hostPorts,
      warn: () => {},
    });
  }

  static async start(): Promise<Guest> {
    const { link, child } = startAgent();
    const session = await connectAgent(link, {
      fresh: false,
      nonce: "cd".repeat(16),
      signal: new AbortController().signal,
      timeoutMs: 20_000,
    });
    return new Guest(session, child);
  }

  /** The host's port that leads to `guestPort` now. Never the same number: the guest is this host. */
  async publish(guestPort: number): Promise<number> {
    const wanted = [{ hostPort: freePort(), guestPort }];
    const [bound] = await this.hostPorts.bind({ id: null, name: "web" }, wanted);
    this.ports.open(bound!, "published");
    return bound!.port.hostPort;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ports.closeAll();
    this.session.close();
    await Promise.all([this.session.closed, this.#child.status]);
  }
}

/** A server on `hostname` that does this with each connection, until it is disposed of. */
function serve(
  handle: (conn: Deno.TcpConn) => Promise<void>,
  hostname = "127.0.0.1",
): { port: number } & AsyncDisposable {
  const listener = Deno.listen({ hostname, port: 0 });
  const open = new Set<Promise<void>>();
  const accepting = (async () => {
    for await (const conn of listener) {
      const done = handle(conn).catch(() => {}).finally(() => {
        open.delete(done);
        try {
          conn.close();
        } catch {
          // The handler has.
        }
      });
      open.add(done);
    }
  })();
  return {
    port: listener.addr.port,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await accepting;
      await Promise.all(open);
    },
  };
}

async function echo(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
    for (let at = 0; at < count;) at += await conn.write(buffer.subarray(at, count));
  }
}

Deno.test("bytes and ends pass unchanged, many at once, whatever address the server listens on", async () => {
  await using guest = await Guest.start();
  for (const hostname of ["127.0.0.1", "0.0.0.0", "::1", "127.0.0.9"]) {
    await using server = serve(echo, hostname);
    const port = await guest.publish(server.port);
    await Promise.all(Array.from({ length: 20 }, async (_, seed) => {
      const bytes = someBytes(2 ** 20, seed);
      assert.deepEqual(await exchange(port, bytes), bytes, hostname);
    }));
    await until("nothing is open", () => Promise.resolve(guest.ports.connections === 0));
  }
});

Deno.test("a reset of either side is one for the other, and a refusal for the client", async () => {
  await using guest = await Guest.start();
  assert.equal(await isOpen(await guest.publish(freePort())), true);
  await assert.rejects(
    exchange(await guest.publish(freePort()), new Uint8Array(1)),
    Deno.errors.ConnectionReset,
  );
  const breaking = await listenOnLoopback(freePort(), (connection) => {
    void connection.read().then(() => connection.abort());
  });
  const port = await guest.publish(breaking.port);
  await assert.rejects(exchange(port, new Uint8Array(1)), Deno.errors.ConnectionReset);
  breaking.close();

  const seen = Promise.withResolvers<unknown>();
  await using server = serve(async (conn) => {
    const buffer = new Uint8Array(1024);
    while (await conn.read(buffer).catch((error) => seen.resolve(error)));
    seen.resolve("an end");
  });
  // Its port is closed: the server sees that not all came.
  const other = await guest.publish(server.port);
  const client = await Deno.connect({ hostname: "127.0.0.1", port: other });
  await client.write(new Uint8Array(10));
  await until("it has come", () => Promise.resolve(guest.ports.connections > 0));
  await new Promise((resolve) => setTimeout(resolve, 200));
  guest.ports.close(other);
  await assert.rejects(client.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
  client.close();
  assert.ok(await seen.promise instanceof Deno.errors.ConnectionReset, String(await seen.promise));
});

Deno.test("a reader that rests holds its server, and nobody else", async () => {
  await using guest = await Guest.start();
  let sent = 0;
  await using source = serve(async (conn) => {
    const chunk = new Uint8Array(2 ** 20);
    while (sent < 200 * chunk.length) sent += await conn.write(chunk);
  });
  await using server = serve(echo);
  const [slow, quick] = [await guest.publish(source.port), await guest.publish(server.port)];
  const client = await Deno.connect({ hostname: "127.0.0.1", port: slow });
  await until("the server is held", async () => {
    const before = sent;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return sent > 0 && sent === before;
  });
  assert.ok(sent < 64 * 2 ** 20, `${sent} bytes are under way`);
  const bytes = someBytes(2 ** 20, 1);
  assert.deepEqual(await exchange(quick, bytes), bytes);
  let read = 0;
  const buffer = new Uint8Array(2 ** 20);
  for (let n = await client.read(buffer); n !== null; n = await client.read(buffer)) read += n;
  assert.equal(read, sent);
  client.close();
});

Deno.test("what begins to listen is forwarded by itself, and no longer when it has gone", async () => {
  await using guest = await Guest.start();
  const server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = server.addr;
  const auto = new AutoPorts({
    session: guest.session,
    ports: guest.ports,
    bind: (guestPort) =>
      // This host's own listeners are the guest's: only that of the test.
      guestPort === port ? guest.hostPorts.bindAuto("web", guestPort) : Promise.resolve(null),
    monotonicMs: () => performance.now(),
  });
  const forwards = () => guest.ports.list().filter(({ guestPort }) => guestPort === port);
  // Behind all that listens on this host, four in a second.
  await until("it is forwarded", () => Promise.resolve(forwards().length === 1), 60_000);
  const [{ hostPort, reason }] = forwards() as [ReturnType<typeof forwards>[0]];
  assert.deepEqual([reason, hostPort !== port], ["auto", true]);
  const accepted = server.accept();
  using client = await Deno.connect({ hostname: "127.0.0.1", port: hostPort });
  (await accepted).close();
  assert.equal(await client.read(new Uint8Array(1)), null);
  server.close();
  await until("it is not any more", () => Promise.resolve(forwards().length === 0));
  assert.equal(await isOpen(hostPort), false);
  auto.stop();
});
