/** Ports of a guest on the host's loopback: published ones, and those that come by themselves. */
import assert from "node:assert/strict";
import type { Banger } from "../support/banger.ts";
import {
  daemonPid,
  firstRunMs,
  refused,
  until,
  vmsOf,
  vmTest,
  WatchedRun,
} from "../support/end_to_end.ts";
import { sourceMib, startGuestServers } from "../support/guest_servers.ts";
import { exchange, freePort, isOpen, say, someBytes } from "../support/loopback_client.ts";

const mib = 1024 ** 2;

/** Of `vm ports --json`. */
interface PortFacts {
  readonly port: number;
  readonly address: string | null;
  readonly process: string | null;
  readonly hostPort: number | null;
  readonly how: string | null;
  readonly open: boolean;
}

async function portsOf(banger: Banger, vm: string): Promise<readonly PortFacts[]> {
  return JSON.parse(await banger.ok(["vm", "ports", vm, "--json"])).ports;
}

/** Reads slowly, and answers how many MiB came as they should. */
async function readSlowly(port: number): Promise<number> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const buffer = new Uint8Array(mib);
  let total = 0;
  for (;;) {
    const count = await conn.read(buffer);
    if (count === null) return total / mib;
    for (let at = 0; at < count; at += 4096) {
      assert.equal(buffer[at], Math.floor((total + at) / mib), `at byte ${total + at}`);
    }
    total += count;
    // Ten pauses, in which what is on its way has to wait.
    if (total % (10 * mib) < count) await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

vmTest(
  "published ports carry what a guest's servers and their clients say, unchanged",
  async (banger) => {
    const [echo, sink, source, reset, nobody] = Array.from({ length: 5 }, freePort) as [
      ...[number, number, number, number, number],
    ];
    const publish = [`${echo}:7`, `${sink}:9`, `${source}:19`, `${reset}:4242`, `${nobody}:81`];
    const create = ["vm", "create", "--start", "--name", "web"];
    await banger.ok([...create, ...publish.flatMap((port) => ["--publish", port])], {
      timeoutMs: firstRunMs,
    });
    await startGuestServers(banger, "web");
    const found = (await portsOf(banger, "web")).find(({ port }) => port === 7);
    assert.deepEqual(found, {
      ...{ protocol: "tcp", address: "127.0.0.1", port: 7, process: "python3" },
      ...{ hostPort: echo, how: "published", open: true },
    });

    // Each direction ends by itself: the sink answers after the client's end.
    assert.equal(await say(echo, "hello"), "hello");
    assert.equal(await say(sink, "12345"), "5");
    await assert.rejects(say(nobody, "x"), Deno.errors.ConnectionReset);
    await assert.rejects(say(reset, "x"), Deno.errors.ConnectionReset);

    // Many at once, of which some move to lanes.
    await Promise.all(Array.from({ length: 20 }, async (_, seed) => {
      const bytes = someBytes(mib, seed);
      assert.deepEqual(await exchange(echo, bytes), bytes);
    }));
    const [mebibytes, counted] = await Promise.all([
      readSlowly(source),
      exchange(sink, someBytes(20 * mib, 1)),
    ]);
    assert.equal(mebibytes, sourceMib);
    assert.equal(new TextDecoder().decode(counted), String(20 * mib));

    // A client that goes away takes its connection in the guest with it: the server cannot write any more.
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: source });
    await conn.read(new Uint8Array(mib));
    conn.close();
    const log = ["vm", "exec", "web", "--", "cat", "/root/servers.log"];
    await until("the server is told", async () => /^(32|104)$/m.test(await banger.ok(log)));
    const open = `grep -c " 01 " /proc/net/tcp; ls -l /proc/*/fd | grep -c "/dev/vport0p[2-9]"`;
    await until(
      "nothing is left open in the guest",
      async () =>
        await banger.ok(["vm", "exec", "web", "--", "sh", "-c", `${open}; true`]) === "0\n0\n",
    );
  },
);

vmTest(
  "ports come and go with the VM, its daemon and the user's wish; what is taken is refused",
  async (banger) => {
    const ok = (...args: string[]) => banger.ok(args, { timeoutMs: firstRunMs });
    const [first, second] = [freePort(), freePort()];
    using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const taken = other.addr.port;
    const create = ["vm", "create", "--name"];
    await refused(banger, [...create, "no", "-p", `${taken}:80`], 4, /another program listens/);
    await refused(banger, [...create, "no", "-p", "80/udp"], 2, /only TCP ports/);
    await refused(banger, [...create, "no", "-p", "0.0.0.0:80:80"], 2, /on 127\.0\.0\.1 only/);
    assert.deepEqual(await vmsOf(banger), []);

    await ok(...create, "web", "-p", `${first}:7`);
    assert.equal(await isOpen(first), false);
    const { ports } = JSON.parse(await ok("vm", "ports", "web", "--json"));
    assert.deepEqual(ports.map((port: PortFacts) => [port.hostPort, port.open]), [[first, false]]);
    await refused(banger, [...create, "two", "-p", `${first}:7`], 4, /VM "web" publishes it/);

    // The port was taken meanwhile: nothing is started.
    {
      using _thief = Deno.listen({ hostname: "127.0.0.1", port: first });
      await refused(banger, ["vm", "start", "web"], 4, /another program listens/);
      assert.deepEqual((await vmsOf(banger)).map(({ state }) => state), ["created"]);
    }
    await ok("vm", "start", "web");
    await startGuestServers(banger, "web");
    assert.equal(await say(first, "one"), "one");

    assert.equal(await ok("vm", "ports", "publish", "web", `${second}:7`), `127.0.0.1:${second}\n`);
    assert.equal(await say(second, "two"), "two");
    await refused(banger, ["vm", "ports", "publish", "web", `${taken}:7`], 4, /ss -ltnp/);
    const shown = JSON.parse(await ok("vm", "show", "web", "--json")).vm.published;
    assert.deepEqual(
      new Set(shown.map(({ hostPort }: PortFacts) => hostPort)),
      new Set([first, second]),
    );
    await ok("vm", "ports", "unpublish", "web", `${second}:7`);
    assert.equal(await isOpen(second), false);
    await refused(banger, ["vm", "ports", "unpublish", "web", `${second}:7`], 3, /not published/);

    // A daemon that is killed takes its sockets with it; the next one opens them again.
    const idle = await Deno.connect({ hostname: "127.0.0.1", port: first });
    Deno.kill(await daemonPid(banger), "SIGKILL");
    await until("its port is closed", async () => !await isOpen(first));
    idle.close();
    const thief = Deno.listen({ hostname: "127.0.0.1", port: first });
    const [seen] = (await portsOf(banger, "web")).filter(({ hostPort }) => hostPort === first);
    assert.deepEqual([seen?.port, seen?.how, seen?.open], [7, "published", false]);
    thief.close();
    await until("it is open again", () => isOpen(first));
    assert.equal(await say(first, "three"), "three");

    await ok("vm", "stop", "web");
    assert.equal(await isOpen(first), false);
    await ok("vm", "start", "web");
    assert.equal(await isOpen(first), true);
    await ok("vm", "delete", "--force", "web");
    assert.equal(await isOpen(first), false);
    await ok(...create, "two", "-p", `${first}:7`);
  },
);

/** A program that listens on `ports` of a guest's loopback, a Python expression, for ten minutes. */
function listener(ports: string): string {
  return `import socket, time
held = [socket.create_server(("127.0.0.1", port)) for port in ${ports}]
time.sleep(600)`;
}

vmTest(
  "--auto-ports forwards what listens, vm run says so, and a guest gets no more than its share",
  async (banger) => {
    const [port, published] = [freePort(), freePort()];
    const script = 'python3 -c "$0" & until [ -e /tmp/go ]; do sleep 0.1; done; kill $!; ' +
      "until [ -e /tmp/end ]; do sleep 0.1; done";
    const run = ["vm", "run", "--rm", "--no-workspace", "--name", "auto", "--auto-ports"];
    const command = ["--", "sh", "-c", script, listener(`[${port}]`)];
    const watched = new WatchedRun(banger, [...run, "-p", `${published}:81`, ...command]);
    await watched.said(
      new RegExp(`^Port ${port} of the guest is 127\\.0\\.0\\.1:${port} here$`, "m"),
      firstRunMs,
    );
    const found = (await portsOf(banger, "auto")).filter(({ how }) =>
      how !== null && how !== "ssh"
    );
    assert.deepEqual(
      new Map(found.map(({ port, hostPort, how, open }) => [port, [hostPort, how, open]])),
      new Map([[port, [port, "auto", true]], [81, [published, "published", true]]]),
    );
    assert.equal(await isOpen(port), true);
    await banger.ok(["vm", "exec", "auto", "--", "touch", "/tmp/go"]);
    await watched.said(new RegExp(`^127\\.0\\.0\\.1:${port} leads nowhere any more$`, "m"));
    assert.equal(await isOpen(port), false);
    await banger.ok(["vm", "exec", "auto", "--", "touch", "/tmp/end"]);
    assert.equal(await watched.end(), 0, watched.stderr);
    assert.deepEqual(await vmsOf(banger), []);

    await banger.ok(["vm", "create", "--start", "--name", "greedy"], { timeoutMs: firstRunMs });
    const held = ["vm", "exec", "greedy", "--", "sh", "-c"];
    const many = listener("range(100, 1000)");
    await banger.ok([...held, 'setsid python3 -c "$0" >/dev/null 2>&1 </dev/null &', many]);
    const auto = async () => {
      const ports = await portsOf(banger, "greedy");
      return new Set(ports.filter(({ how }) => how === "auto").map(({ hostPort }) => hostPort!));
    };
    assert.equal((await auto()).size, 0);
    await banger.ok(["vm", "set", "greedy", "--auto-ports", "on"]);
    await until("its share is forwarded", async () => (await auto()).size >= 32, 120_000);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const ports = [...await auto()];
    assert.equal(ports.length, 32);
    assert.ok(ports.every((port) => port >= 1024), String(ports));
    await banger.ok(["vm", "set", "greedy", "--auto-ports", "off"]);
    assert.equal((await auto()).size, 0);
  },
);
