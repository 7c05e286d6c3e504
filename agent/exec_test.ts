import assert from "node:assert/strict";
import { acceptSessions, startSession } from "../src/wire/handshake.ts";
import { LinkError } from "../src/wire/link.ts";
import { memoryLinks } from "../src/wire/memory_link.ts";
import { type AgentReply, type ExecRequest, waitForFile } from "../src/wire/messages.ts";
import type { Mux } from "../src/wire/mux.ts";
import type { MuxStream } from "../src/wire/mux_stream.ts";
import { type AgentContext, guestContext } from "./context.ts";
import { serveStream } from "./serve_stream.ts";
import { welcome } from "./welcome.ts";

/** The agent in this process, over a link in memory. */
async function agent(context: AgentContext = guestContext()): Promise<Mux & AsyncDisposable> {
  const [host, guest] = memoryLinks(256 * 1024);
  const streams = new Set<Promise<void>>();
  const serving = acceptSessions(guest, {
    welcome,
    onStream: (stream) => {
      const done = serveStream(context, stream).finally(() => streams.delete(done));
      streams.add(done);
    },
  });
  const signal = new AbortController().signal;
  const { mux } = await startSession(host, {
    nonce: "a".repeat(32),
    fresh: true,
    signal,
  });
  return Object.assign(mux, {
    async [Symbol.asyncDispose]() {
      mux.end(new LinkError("ended", "test is over"));
      await serving;
      await Promise.all(streams);
    },
  });
}

function run(mux: Mux, argv: string[], more: Partial<ExecRequest> = {}): MuxStream {
  const exec = { argv, cwd: "/", env: {}, user: null, stdin: false, ...more };
  return mux.open({ method: "exec", exec });
}

async function text(stream: MuxStream, channel: 0 | 1 = 0): Promise<string> {
  const decoder = new TextDecoder();
  let all = "";
  for (let b = await stream.read(channel); b !== null; b = await stream.read(channel)) {
    all += decoder.decode(b, { stream: true });
  }
  return all;
}

async function outcome(stream: MuxStream): Promise<unknown> {
  await Promise.all([text(stream, 0), text(stream, 1)]);
  const end = await stream.ended;
  assert.equal(end.how, "closed");
  const reply = (end as { reply: unknown }).reply as AgentReply;
  if (!reply.ok) return reply.kind;
  return reply.result.method === "exec" ? reply.result.exit : reply.result;
}

Deno.test("exit codes and signals pass through", async () => {
  await using mux = await agent();
  assert.deepEqual(await outcome(run(mux, ["true"])), { how: "exited", code: 0 });
  assert.deepEqual(await outcome(run(mux, ["false"])), { how: "exited", code: 1 });
  assert.deepEqual(await outcome(run(mux, ["sh", "-c", "exit 125"])), { how: "exited", code: 125 });
  assert.deepEqual(await outcome(run(mux, ["sh", "-c", "kill -SEGV $$"])), {
    how: "signaled",
    signal: 11,
  });
});

Deno.test("what cannot be started is told apart", async () => {
  await using mux = await agent();
  assert.equal(await outcome(run(mux, ["no-such-program"])), "not_found");
  assert.equal(await outcome(run(mux, ["/etc/passwd"])), "not_executable");
  assert.equal(await outcome(run(mux, ["/etc"])), "not_executable");
  assert.equal(await outcome(run(mux, ["true"], { cwd: "/no/such/dir" })), "not_found");
  assert.equal(await outcome(run(mux, ["true"], { user: "no-such-user" })), "not_found");
  assert.equal(await outcome(run(mux, [""])), "invalid");
  assert.equal(await outcome(run(mux, ["a\0b"])), "invalid");
  assert.equal(await outcome(mux.open({ method: "format-disk" })), "invalid");
  assert.equal(await outcome(mux.open([])), "invalid");
});

Deno.test("what only the image names is left out where it is not there", async () => {
  await using mux = await agent();
  const image = { env: { A: "image", B: "image" }, cwd: "/no/such", user: "no-such", argv: [] };
  const script = 'echo "$(id -u) $PWD $A $B"';
  const env = { A: "mine" };
  const more = { cwd: null, env, image };
  assert.equal(await text(run(mux, ["sh", "-c", script], more)), "0 /root mine image\n");
  const there = { ...more, image: { ...image, cwd: "/usr" } };
  assert.equal(await text(run(mux, ["sh", "-c", script], there)), "0 /usr mine image\n");
  for (const wrong of [{ ...image, argv: "x" }, { ...image, env: [] }, { ...image, cwd: 1 }, "x"]) {
    assert.equal(await outcome(run(mux, ["true"], { image: wrong } as object)), "invalid");
  }
});

Deno.test("without words it is a shell, a login shell where no image has a say", async () => {
  await using mux = await agent();
  const image = { env: {}, cwd: null, user: null, argv: ["false"] };
  const stdin = new TextEncoder().encode('echo "$0 $SHELL $-"; shopt login_shell');
  for (
    const [more, expected] of [[{}, /login_shell\s+on/], [{ image }, /login_shell\s+off/]] as const
  ) {
    const stream = run(mux, [], { stdin: true, env: { HOME: "/nonexistent" }, ...more });
    const output = text(stream);
    await stream.write(stdin);
    stream.end();
    assert.match(await output, /^\/bin\/bash \/bin\/bash /);
    assert.match(await output, expected);
  }
});

Deno.test("a command that waits for its image's service can be ended", async () => {
  const root = await Deno.makeTempDir();
  // The agent's sleep does not keep a process alive; there its link does.
  const alive = setInterval(() => {}, 1000);
  try {
    await Deno.mkdir(`${root}/etc/banger`, { recursive: true });
    await Deno.writeTextFile(`${root}${waitForFile}`, "/run/service.sock\n");
    await using mux = await agent({ ...guestContext(), root });
    const asked = run(mux, ["true"]);
    asked.control({ control: "signal", signal: "INT" });
    assert.deepEqual(await outcome(asked), { how: "signaled", signal: 2 });
    const gone = run(mux, ["true"]);
    gone.reset("gone");
    assert.equal((await gone.ended).how, "reset");
    const making = { workspace: { name: "repo", owner: null, isNew: true } };
    assert.deepEqual(await outcome(run(mux, ["true"], making)), { how: "exited", code: 0 });
    const waiting = outcome(run(mux, ["true"]));
    await Deno.mkdir(`${root}/run`);
    await Deno.writeTextFile(`${root}/run/service.sock`, "");
    assert.deepEqual(await waiting, { how: "exited", code: 0 });
  } finally {
    clearInterval(alive);
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("a workspace is where a command starts, once it is there", async () => {
  await using mux = await agent();
  const place = { name: crypto.randomUUID(), owner: null, isNew: false };
  assert.equal(await outcome(run(mux, ["true"], { cwd: null, workspace: place })), "not_found");
  const script = 'echo "$PWD $BANGER_WORKSPACE $BANGER_WORKSPACE_OWNER"';
  const making = { cwd: null, workspace: { ...place, isNew: true } };
  const told = `/ /root/${place.name} 0:0\n`;
  assert.equal(await text(run(mux, ["sh", "-c", script], making)), told);
  for (const name of ["", ".", "..", "a/b", "a\0b", 1]) {
    const wrong = { workspace: { ...place, name } } as object;
    assert.equal(await outcome(run(mux, ["true"], wrong)), "invalid");
  }
});

Deno.test("environment, directory and both outputs", async () => {
  await using mux = await agent();
  const script = 'echo "$PWD $HOME $USER $X"; echo bad >&2; cat';
  const stream = run(mux, ["sh", "-c", script], { cwd: "/usr", env: { X: "ü 1" } });
  const [out, err] = await Promise.all([text(stream, 0), text(stream, 1)]);
  assert.equal(out, "/usr /root root ü 1\n");
  assert.equal(err, "bad\n");
});

Deno.test("a signal reaches the whole process group", async () => {
  await using mux = await agent();
  const stream = run(mux, ["sh", "-c", "echo up; sleep 100; echo never"]);
  await stream.read(0);
  stream.control({ control: "signal", signal: "TERM" });
  assert.deepEqual(await outcome(stream), { how: "signaled", signal: 15 });
});

Deno.test("a reset hangs the whole group up", async () => {
  await using mux = await agent();
  const stream = run(mux, ["sh", "-c", "echo $$; sleep 100"]);
  const pid = Number(new TextDecoder().decode((await stream.read(0))!));
  stream.reset("gone");
  const isAlive = () => {
    try {
      Deno.kill(-pid, "SIGCONT");
      return true;
    } catch {
      return false;
    }
  };
  for (let tries = 0; isAlive() && tries < 100; tries++) await sleep(20);
  assert.equal(isAlive(), false);
});

Deno.test("64 MiB both ways come back unchanged while another stream answers", async () => {
  await using mux = await agent();
  const total = 64 * 1024 * 1024;
  const stream = run(mux, ["cat"], { stdin: true });
  const chunk = new Uint8Array(1024 * 1024);
  for (let at = 0; at < chunk.length; at++) chunk[at] = (at * 7) ^ (at >> 8);
  const sending = (async () => {
    for (let sent = 0; sent < total; sent += chunk.length) await stream.write(chunk);
    stream.end();
  })();
  let got = 0;
  let wrong = 0;
  const reading = (async () => {
    for (let b = await stream.read(0); b !== null; b = await stream.read(0)) {
      if (b[0] !== chunk[got % chunk.length]) wrong++;
      got += b.length;
    }
  })();
  assert.deepEqual(await outcome(run(mux, ["true"])), { how: "exited", code: 0 });
  await Promise.all([sending, reading]);
  assert.equal(got, total);
  assert.equal(wrong, 0);
});

Deno.test("yes | head ends, and an endless program that nobody reads stalls nobody", async () => {
  await using mux = await agent();
  const endless = run(mux, ["yes"]);
  assert.equal(await text(run(mux, ["sh", "-c", "yes | head -n 2"])), "y\ny\n");
  endless.reset("enough");
  assert.equal((await endless.ended).how, "reset");
});

Deno.test("input that a program does not read is thrown away", async () => {
  await using mux = await agent();
  const stream = run(mux, ["sh", "-c", "exec 0<&-; sleep 0.2; echo done"], { stdin: true });
  const sending = stream.write(new Uint8Array(3 * 1024 * 1024)).catch(() => "ended");
  assert.equal(await text(stream), "done\n");
  await sending;
});

Deno.test("a child left in the background does not hold the stream for ever", async () => {
  await using mux = await agent();
  const startMs = performance.now();
  const quiet = run(mux, ["sh", "-c", "sleep 30 & echo $!"]);
  const pid = Number(await text(quiet));
  assert.deepEqual(await outcome(quiet), { how: "exited", code: 0 });
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs < 3000, `${tookMs} ms`);
  Deno.kill(pid, "SIGKILL");
  const loud = run(mux, ["sh", "-c", "while :; do echo x || exit; done & exit 3"]);
  assert.deepEqual(await outcome(loud), { how: "exited", code: 3 });
});

Deno.test("health, ports and stats of this machine", async () => {
  const busybox = { ...guestContext(), kit: await Deno.makeTempDir() };
  await Deno.mkdir(`${busybox.kit}/bin`);
  await Deno.symlink("/bin/busybox", `${busybox.kit}/bin/busybox`);
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  {
    await using mux = await agent(busybox);
    const { ports } = await outcome(mux.open({ method: "ports" })) as { ports: unknown[] };
    const mine = ports.find((port) => (port as { port: number }).port === listener.addr.port);
    assert.deepEqual(mine, {
      protocol: "tcp",
      address: "127.0.0.1",
      port: listener.addr.port,
      process: "deno",
    });
    const { stats } = await outcome(mux.open({ method: "stats" })) as {
      stats: Record<string, number>;
    };
    assert.ok(stats["memoryTotalBytes"]! > stats["memoryAvailableBytes"]!);
    assert.ok(stats["diskTotalBytes"]! > stats["diskFreeBytes"]!);
    const { health } = await outcome(mux.open({ method: "health" })) as {
      health: { uptimeS: number };
    };
    assert.ok(health.uptimeS > 0);
  }
  await Deno.remove(busybox.kit, { recursive: true });
});

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
