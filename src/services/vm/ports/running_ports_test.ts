import assert from "node:assert/strict";
import { portLimits } from "../../../model/published_port.ts";
import type { AgentRequest } from "../../../wire/messages.ts";
import { memoryLinks } from "../../../wire/memory_link.ts";
import { LinkError } from "../../../wire/link.ts";
import { Mux, runMux } from "../../../wire/mux.ts";
import type { MuxStream } from "../../../wire/mux_stream.ts";
import type { BoundPort } from "./bound_port.ts";
import { HostPorts } from "./host_ports.ts";
import type { HostConnection } from "./relay_connection.ts";
import { RunningPorts } from "./running_ports.ts";

/** A client's connection as the listener gives it. */
class FakeConnection implements HostConnection {
  readonly closed: Promise<void>;
  readonly written: string[] = [];
  how: "open" | "ended" | "aborted" = "open";
  readonly #input: (Uint8Array | null)[] = [];
  #hasSentEnd = false;
  #wake = () => {};
  #close: () => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#close = resolve;
  }

  /** The client sends this; `null`: nothing more. */
  send(text: string | null): void {
    this.#input.push(text === null ? null : new TextEncoder().encode(text));
    if (text === null) this.#hasSentEnd = true;
    this.#wake();
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      if (this.how === "aborted") throw new Error("closed");
      const next = this.#input.shift();
      if (next !== undefined) return next;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.how !== "open") return Promise.reject(new Error("closed"));
    this.written.push(new TextDecoder().decode(bytes));
    return Promise.resolve();
  }

  end(): void {
    this.how = "ended";
    if (this.#hasSentEnd) this.#close();
  }

  abort(): void {
    this.how = "aborted";
    this.#wake();
    this.#close();
  }
}

/** Ports of a VM whose guest does with each stream what the test says. */
class Fixture implements AsyncDisposable {
  readonly hostPorts: HostPorts;
  readonly ports: RunningPorts;
  readonly warnings: string[] = [];
  readonly requests: unknown[] = [];
  readonly #clients = new Map<number, (connection: HostConnection) => void>();
  readonly #mux: Mux;
  readonly #over: Promise<unknown>[];

  constructor(guest: (stream: MuxStream) => void) {
    const [near, far] = memoryLinks();
    this.#mux = new Mux(near, { side: "starter" });
    const served = new Mux(far, {
      side: "acceptor",
      onStream: (stream) => {
        this.requests.push(stream.request);
        guest(stream);
      },
    });
    this.#over = [runMux(near, this.#mux), runMux(far, served)];
    this.hostPorts = new HostPorts({
      listen: (port, onConnection) => {
        this.#clients.set(port, onConnection);
        return Promise.resolve({ port, close: () => void this.#clients.delete(port) });
      },
      vms: () => [],
    });
    this.ports = new RunningPorts({
      session: () => ({ open: (request: AgentRequest) => this.#mux.open(request) }),
      lanes: { lease: () => Promise.resolve(null) },
      connections: this.hostPorts,
      warn: (text) => void this.warnings.push(text),
    });
  }

  async bind(hostPort: number, guestPort: number): Promise<BoundPort> {
    const [bound] = await this.hostPorts.bind({ id: null, name: "web" }, [{ hostPort, guestPort }]);
    return bound!;
  }

  async open(hostPort: number, guestPort: number): Promise<void> {
    this.ports.open(await this.bind(hostPort, guestPort), "published");
  }

  connect(hostPort: number): FakeConnection {
    const connection = new FakeConnection();
    this.#clients.get(hostPort)!(connection);
    return connection;
  }

  endSession(): void {
    this.#mux.end(new LinkError("ended", "test is over"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ports.closeAll();
    this.endSession();
    await Promise.all(this.#over);
  }
}

const whole = { ok: true, result: { method: "forward" } };

/** Sends back what comes, in capitals, until its end. */
async function echo(stream: MuxStream): Promise<void> {
  for (let bytes = await stream.read(); bytes !== null; bytes = await stream.read()) {
    const text = new TextDecoder().decode(bytes).toUpperCase();
    await stream.write(new TextEncoder().encode(text));
  }
  stream.end();
  stream.close(whole);
}

async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !isSo(); turn++) await new Promise((go) => setTimeout(go, 1));
  assert.ok(isSo());
}

Deno.test("a connection reaches the guest's port and ends as both sides say", async () => {
  await using fixture = new Fixture((stream) => void echo(stream).catch(() => {}));
  await fixture.open(8080, 80);
  const client = fixture.connect(8080);
  client.send("hello");
  await until(() => client.written.join("") === "HELLO");
  assert.deepEqual([client.how, fixture.ports.connections], ["open", 1]);
  client.send(null);
  await client.closed;
  assert.equal(client.how, "ended");
  await until(() => fixture.ports.connections === 0);
  assert.deepEqual(fixture.requests, [{ method: "forward", port: 80 }]);
  assert.equal(fixture.ports.accepted, 1);
  // What all VMs share has been given back.
  for (let n = 0; n < portLimits.connectionsInAll; n++) {
    assert.ok(fixture.hostPorts.takeConnection());
  }
});

Deno.test("what breaks, or is refused, is a reset for the client after all that came", async () => {
  const answers = {
    refused: { ok: false, kind: "not_found", message: "nothing listens on port 80" },
    broken: { ok: false, kind: "internal", message: "the connection was reset" },
    other: { ok: true, result: { method: "health" } },
    nonsense: 7,
  };
  for (const [name, answer] of Object.entries(answers)) {
    await using fixture = new Fixture((stream) =>
      void stream.write(new TextEncoder().encode("part")).then(() => stream.close(answer))
    );
    await fixture.open(8080, 80);
    const client = fixture.connect(8080);
    await client.closed;
    assert.deepEqual([client.how, client.written], ["aborted", ["part"]], name);
    await until(() => fixture.ports.connections === 0);
  }
});

Deno.test("a client that goes away resets its stream, and the end of a VM its clients", async () => {
  const streams: MuxStream[] = [];
  await using fixture = new Fixture((stream) => void streams.push(stream));
  await fixture.open(8080, 80);
  await fixture.open(8081, 81);
  fixture.connect(8080).abort();
  await until(() => streams[0]?.isEnded === true);
  const [kept, closed] = [fixture.connect(8080), fixture.connect(8081)];
  await until(() => streams.length === 3);
  const { revision, changed } = fixture.ports;
  fixture.ports.close(8081);
  await changed;
  assert.deepEqual([fixture.ports.revision, closed.how, kept.how], [
    revision + 1,
    "aborted",
    "open",
  ]);
  assert.deepEqual(fixture.ports.list(), [{ hostPort: 8080, guestPort: 80, reason: "published" }]);
  fixture.ports.closeAll();
  assert.equal(kept.how, "aborted");
  await until(() => streams.every(({ isEnded }) => isEnded));
  await fixture.open(8082, 82);
  assert.deepEqual(fixture.ports.list(), []);
});

Deno.test("over the bound of a VM connections are reset, and taken again when some have ended", async () => {
  await using fixture = new Fixture((stream) => void echo(stream).catch(() => {}));
  await fixture.open(8080, 80);
  const clients = Array.from({ length: portLimits.connections }, () => fixture.connect(8080));
  assert.equal(fixture.connect(8080).how, "aborted");
  assert.ok(clients.every(({ how }) => how === "open"));
  clients[0]!.abort();
  await until(() => fixture.ports.connections === portLimits.connections - 1);
  assert.equal(fixture.connect(8080).how, "open");
  assert.equal(fixture.connect(8080).how, "aborted");
});

Deno.test("without a session connections are reset, and it is said once", async () => {
  await using fixture = new Fixture(() => {});
  await fixture.open(8080, 80);
  fixture.endSession();
  assert.deepEqual([fixture.connect(8080).how, fixture.connect(8080).how], ["aborted", "aborted"]);
  assert.deepEqual(fixture.warnings, ["Connections are refused: test is over"]);
  await until(() => fixture.ports.connections === 0);
});

Deno.test("over the bound of all VMs, too", () => {
  const ports = new HostPorts({ listen: () => Promise.reject(new Error("no")), vms: () => [] });
  for (let n = 0; n < portLimits.connectionsInAll; n++) assert.ok(ports.takeConnection());
  assert.equal(ports.takeConnection(), false);
  ports.releaseConnection();
  assert.ok(ports.takeConnection());
});

Deno.test("connections that come while the VM is started wait for it, as far as there is room", async () => {
  await using fixture = new Fixture((stream) => void echo(stream).catch(() => {}));
  const bound = await fixture.bind(8080, 80);
  const clients = Array.from({ length: 20 }, () => fixture.connect(8080));
  assert.equal(clients.filter(({ how }) => how === "open").length, 16);
  clients[0]!.send("early");
  fixture.ports.open(bound, "published");
  await until(() => clients[0]!.written.join("") === "EARLY");

  const never = await fixture.bind(8081, 81);
  const waiting = fixture.connect(8081);
  never.close();
  assert.equal(waiting.how, "aborted");
});
