/**
 * Execs whose channels move to raw connections: the agent's own code, the kit's script and the
 * daemon's relay, joined on this machine. busybox's nc stands in for socat.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type AgentContext, guestContext } from "../../agent/context.ts";
import { RawListener } from "../../agent/raw_listener.ts";
import { serveStream } from "../../agent/serve_stream.ts";
import { welcome } from "../../agent/welcome.ts";
import { rawJoinScript } from "../../src/guest/kit_raw_join.ts";
import { RawPath } from "../../src/services/vm/raw_path.ts";
import { relayRaw } from "../../src/services/vm/relay_raw.ts";
import { DenoLink } from "../../src/transport/deno_link.ts";
import { acceptSessions, startSession } from "../../src/wire/handshake.ts";
import { type ByteLink, LinkError } from "../../src/wire/link.ts";
import { memoryLinks } from "../../src/wire/memory_link.ts";
import type { AgentReply } from "../../src/wire/messages.ts";
import { Mux, runMux } from "../../src/wire/mux.ts";
import type { MuxStream } from "../../src/wire/mux_stream.ts";

const mib = 1024 * 1024;
const total = 64 * mib;

/** Client, daemon and guest of one test. */
class Chain implements AsyncDisposable {
  readonly dir = Deno.makeTempDirSync({ prefix: "banger-raw-" });
  readonly client: Mux;
  readonly links: ByteLink[] = [];
  /** Raw connections that were opened. */
  opened = 0;
  readonly #ends: (() => void)[] = [];
  readonly #over: Promise<unknown>[] = [];

  static async make(openRaw?: () => Promise<ByteLink>): Promise<Chain> {
    const chain = new Chain(openRaw);
    await chain.#guest();
    return chain;
  }

  #session: Mux | undefined;
  readonly port: number;

  private constructor(openRaw?: () => Promise<ByteLink>) {
    using free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = free.addr.port;
    const open = openRaw ?? (async () => {
      this.opened++;
      const link = new DenoLink(await Deno.connect({ hostname: "127.0.0.1", port: this.port }));
      this.links.push(link);
      return link;
    });
    const path = new RawPath(open, () => performance.now());
    const [near, far] = memoryLinks(256 * 1024);
    this.client = new Mux(near, { side: "starter" });
    const daemon = new Mux(far, {
      side: "acceptor",
      onStream: (accepted) => {
        this.#over.push(relayRaw(accepted, this.#session!.open(accepted.request), path));
      },
    });
    this.#over.push(runMux(near, this.client), runMux(far, daemon));
    this.#ends.push(() => this.client.end(new LinkError("ended", "test is over")));
  }

  async #guest(): Promise<void> {
    for (const name of ["bin", "sbin"]) Deno.mkdirSync(`${this.dir}/${name}`);
    Deno.symlinkSync("/bin/busybox", `${this.dir}/bin/busybox`);
    const join = `${this.dir}/sbin/raw-join`;
    Deno.writeTextFileSync(join, rawJoinScript.replace(/^#!.*/, "#!/bin/busybox sh"));
    Deno.chmodSync(join, 0o755);
    const raw = new RawListener(`${this.dir}/raw`, {
      program: "/bin/busybox",
      args: ["nc", "-ll", "-p", `${this.port}`, "-e", join],
      port: this.port,
    });
    const context: AgentContext = { ...guestContext(), raw };
    const [host, guest] = memoryLinks(256 * 1024);
    const serving = acceptSessions(guest, {
      welcome,
      onStream: (stream) => this.#over.push(serveStream(context, stream)),
    });
    const signal = new AbortController().signal;
    const options = { nonce: "a".repeat(32), token: "", fresh: true, signal };
    const { mux } = await startSession(host, options);
    this.#session = mux;
    this.#over.push(serving);
    this.#ends.push(() => mux.end(new LinkError("ended", "test is over")));
  }

  run(argv: string[], stdin = false): MuxStream {
    const exec = { argv, cwd: "/", env: {}, user: null, stdin };
    return this.client.open({ method: "exec", exec });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends) end();
    for (let done = 0; done < this.#over.length; done++) await this.#over[done];
    const pid = Number(await Deno.readTextFile(`${this.dir}/raw/tcp.pid`).catch(() => "0"));
    if (pid > 0) Deno.kill(pid, "SIGKILL");
    for (let look = 0; look < 100 && pid > 0 && await isThere(pid); look++) await sleep(10);
    await Deno.remove(this.dir, { recursive: true });
  }
}

async function isThere(pid: number): Promise<boolean> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
  return stat !== "" && !/\) Z /.test(stat);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function digestOf(stream: MuxStream, channel: 0 | 1 = 0): Promise<[number, string]> {
  const hash = createHash("sha256");
  let bytes = 0;
  for (let b = await stream.read(channel); b !== null; b = await stream.read(channel)) {
    hash.update(b);
    bytes += b.length;
  }
  return [bytes, hash.digest("hex")];
}

async function exitOf(stream: MuxStream): Promise<unknown> {
  const end = await stream.ended;
  if (end.how === "reset") return end.reason;
  const reply = end.reply as AgentReply;
  return reply.ok && reply.result.method === "exec" ? reply.result.exit : reply;
}

/** Writes `total` bytes that never repeat at the same place of a chunk; answers their digest. */
async function feed(stream: MuxStream): Promise<string> {
  const hash = createHash("sha256");
  for (let sent = 0; sent < total; sent += mib) {
    const chunk = new Uint8Array(mib);
    for (let at = 0; at < mib; at += 8) chunk[at] = (at >> 3) + (sent >> 20);
    hash.update(chunk);
    await stream.write(chunk);
  }
  stream.end();
  return hash.digest("hex");
}

Deno.test("all three channels move, and every byte arrives in order", async () => {
  await using chain = await Chain.make();
  const flood = `head -c ${total} /dev/zero >&2 & cat; wait; exit 7`;
  const stream = chain.run(["sh", "-c", flood], true);
  const [sent, [bytes, got], [errBytes]] = await Promise.all([
    feed(stream),
    digestOf(stream, 0),
    digestOf(stream, 1),
  ]);
  assert.deepEqual([bytes, errBytes], [total, total]);
  assert.equal(got, sent);
  assert.deepEqual(await exitOf(stream), { how: "exited", code: 7 });
  assert.equal(chain.opened, 3);
  // The last connection was closed after the listener had served it: nothing is left of the tickets.
  const left = await Array.fromAsync(Deno.readDir(`${chain.dir}/raw`));
  assert.deepEqual(left.map(({ name }) => name), ["tcp.pid"]);
});

Deno.test("without raw connections the agent link carries all of it", async () => {
  let tries = 0;
  await using chain = await Chain.make(() => Promise.reject(new Error(`refused ${++tries}`)));
  const stream = chain.run(["cat"], true);
  const [sent, [bytes, got]] = await Promise.all([feed(stream), digestOf(stream)]);
  assert.deepEqual([bytes, got], [total, sent]);
  assert.deepEqual(await exitOf(stream), { how: "exited", code: 0 });
  assert.equal(tries, 1, "a failure is remembered");
});

Deno.test("a small command opens no connection", async () => {
  await using chain = await Chain.make();
  const stream = chain.run(["echo", "small"]);
  assert.deepEqual((await digestOf(stream))[0], 6);
  assert.deepEqual(await exitOf(stream), { how: "exited", code: 0 });
  assert.equal(chain.opened, 0);
});

Deno.test("a program that reads only some of its stdin ends as it likes", async () => {
  await using chain = await Chain.make();
  const stream = chain.run(["sh", "-c", `head -c ${4 * mib} | wc -c; exec 0<&-; exit 3`], true);
  const sending = feed(stream).catch(() => "ended");
  const text = await new Response(new Blob([await allOf(stream)])).text();
  assert.equal(text, `${4 * mib}\n`);
  assert.deepEqual(await exitOf(stream), { how: "exited", code: 3 });
  await sending;
});

async function allOf(stream: MuxStream): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for (let b = await stream.read(0); b !== null; b = await stream.read(0)) parts.push(b);
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
}

Deno.test("a client that goes away ends an endless program and what carries its output", async () => {
  await using chain = await Chain.make();
  const stream = chain.run(["sh", "-c", "echo $$; exec yes"]);
  const first = new TextDecoder().decode((await stream.read(0))!);
  const pid = Number(first.split("\n")[0]);
  for (let got = 0; got < 8 * mib;) got += (await stream.read(0))!.length;
  assert.equal(chain.opened, 1);
  stream.reset("gone");
  for (let look = 0; look < 300 && await isThere(pid); look++) await sleep(10);
  assert.equal(await isThere(pid), false);
});

Deno.test("a slow reader holds the program back and loses nothing", async () => {
  await using chain = await Chain.make();
  const stream = chain.run(["sh", "-c", `head -c ${16 * mib} /dev/zero; exit 5`]);
  let bytes = (await stream.read(0))!.length;
  while (bytes < 2 * mib) bytes += (await stream.read(0))!.length;
  await sleep(1_500);
  bytes += (await digestOf(stream))[0];
  assert.equal(bytes, 16 * mib);
  assert.deepEqual(await exitOf(stream), { how: "exited", code: 5 });
});

Deno.test("a child left in the background does not hold a raw output for ever", async () => {
  await using chain = await Chain.make();
  const stream = chain.run([
    "sh",
    "-c",
    `head -c ${8 * mib} /dev/zero; sleep 30 & echo $!; exit 4`,
  ]);
  const all = await allOf(stream);
  const pid = Number(new TextDecoder().decode(all.subarray(8 * mib)));
  assert.ok(pid > 1);
  assert.deepEqual(await exitOf(stream), { how: "exited", code: 4 });
  assert.equal(chain.opened, 1);
  Deno.kill(pid, "SIGKILL");
});

Deno.test("a connection that breaks is told, not taken for the end of the output", async () => {
  await using chain = await Chain.make();
  const stream = chain.run(["sh", "-c", `head -c ${total} /dev/zero; exit 0`]);
  let bytes = 0;
  while (chain.opened === 0) bytes += (await stream.read(0))!.length;
  await sleep(50);
  for (const link of chain.links) link.close();
  const rest = await digestOf(stream).catch(() => [0, ""] as const);
  assert.ok(bytes + rest[0] < total);
  assert.notDeepEqual(await exitOf(stream), { how: "exited", code: 0 });
});

Deno.test("without a good ticket a connection gets nothing and is closed soon", async () => {
  await using chain = await Chain.make();
  const stream = chain.run(["cat", "/dev/zero"]);
  while (chain.opened === 0) await stream.read(0);
  for (const said of ["", "0".repeat(64), "../".repeat(21) + "x", "\n".repeat(64)]) {
    const link = new DenoLink(await Deno.connect({ hostname: "127.0.0.1", port: chain.port }));
    await link.write(new TextEncoder().encode(said));
    const startMs = performance.now();
    assert.equal(await link.read(new Uint8Array(1)), null, JSON.stringify(said));
    assert.ok(performance.now() - startMs < 4_000);
    link.close();
  }
  stream.reset("enough");
});
