/** Execs whose channels move to lanes: the daemon's relay, a real VM and its agent, and what can go wrong. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { AgentSession } from "../../src/guest/agent_session.ts";
import { Lanes } from "../../src/services/vm/lanes/lanes.ts";
import { relayExec } from "../../src/services/vm/lanes/relay_exec.ts";
import type { LaneLink } from "../../src/vmm/contract.ts";
import { laneCount } from "../../src/wire/lane.ts";
import { LinkError } from "../../src/wire/link.ts";
import { memoryLinks } from "../../src/wire/memory_link.ts";
import type { AgentReply } from "../../src/wire/messages.ts";
import { Mux, runMux } from "../../src/wire/mux.ts";
import type { MuxStream } from "../../src/wire/mux_stream.ts";
import { isBuilt, withCachedBanger } from "../support/banger.ts";
import { RawVm } from "../support/raw_vm.ts";
import { skipUnless } from "../support/require.ts";

const mib = 1024 * 1024;
const firstRunMs = 8 * 60_000;

/** A daemon's side of one VM, with clients of its own. */
class Daemon implements AsyncDisposable {
  readonly session: AgentSession;
  readonly lanes: Lanes;
  /** Connections to lanes, in the order in which they were opened. */
  readonly links: { readonly lane: number; readonly link: LaneLink; sentBytes: number }[] = [];
  nowMs = 0;
  readonly #client: Mux;
  readonly #served: Mux;
  readonly #over: Promise<unknown>[] = [];

  constructor(vm: RawVm, session: AgentSession, count = laneCount) {
    this.session = session;
    this.lanes = new Lanes({
      count,
      open: async (lane) => {
        const link = await vm.machine.openLane(lane);
        const opened = { lane, link, sentBytes: 0 };
        this.links.push(opened);
        const write = link.write.bind(link);
        link.write = async (bytes) => {
          await write(bytes);
          opened.sentBytes += bytes.length;
        };
        return link;
      },
      monotonicMs: () => this.nowMs,
      randomHex: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)).toHex(),
    });
    const [near, far] = memoryLinks(256 * 1024);
    this.#client = new Mux(near, { side: "starter" });
    this.#served = new Mux(far, {
      side: "acceptor",
      onStream: (accepted) => {
        const opened = this.session.open(accepted.request as never);
        this.#over.push(relayExec(accepted, opened, this.lanes));
      },
    });
    this.#over.push(runMux(near, this.#client), runMux(far, this.#served));
  }

  run(argv: readonly string[], stdin = false): MuxStream {
    const exec = { argv, cwd: "/", env: {}, user: null, stdin };
    return this.#client.open({ method: "exec", exec });
  }

  /** Runs a short script to its end and answers what it printed. */
  async sh(script: string): Promise<string> {
    const stream = this.run(["sh", "-c", script]);
    const all = new TextDecoder().decode(await allOf(stream));
    assert.equal((await stream.ended).how, "closed", script);
    return all;
  }

  /** Numbers of the lanes that are free. */
  async free(): Promise<number[]> {
    const leases = [];
    for (let lease = await this.lanes.lease(); lease !== null; lease = await this.lanes.lease()) {
      leases.push(lease);
      this.links.pop();
    }
    for (const lease of leases) lease.release();
    return leases.map(({ lane }) => lane).toSorted();
  }

  /** Its clients go away, and it ends as a process does: nothing is told, all is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.end(new LinkError("ended", "test is over"));
    this.session.close();
    for (let done = 0; done < this.#over.length; done++) await this.#over[done];
    for (const { link } of this.links) link.close();
  }
}

async function allOf(stream: MuxStream, channel: 0 | 1 = 0): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let b = await stream.read(channel); b !== null; b = await stream.read(channel)) {
    parts.push(b);
  }
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
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

/** Writes `total` bytes, no two KiB of which are alike; answers their digest. */
async function feed(stream: MuxStream, total: number): Promise<string> {
  const hash = createHash("sha256");
  for (let sent = 0; sent < total; sent += mib) {
    const chunk = new Uint8Array(Math.min(mib, total - sent));
    const words = new Uint32Array(chunk.buffer, 0, chunk.length >> 2);
    for (let at = 0; at < words.length; at++) words[at] = (sent >> 2) + at;
    hash.update(chunk);
    await stream.write(chunk);
  }
  stream.end();
  return hash.digest("hex");
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Looks again until it is so; for what the guest does by itself. */
async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (let look = 0; look < 600; look++) {
    if (await isSo()) return;
    await sleep(100);
  }
  assert.fail(`not in time: ${what}`);
}

/** What both ways of `cat` give for `total` bytes. */
async function roundTrip(daemon: Daemon, total: number): Promise<void> {
  const stream = daemon.run(["cat"], true);
  const [sent, [bytes, got]] = await Promise.all([feed(stream, total), digestOf(stream)]);
  assert.deepEqual(await exitOf(stream), { how: "exited", code: 0 });
  assert.deepEqual([bytes, got], [total, sent]);
}

/** Shell words that set `$port` to the device of a lane. */
const findPort = (lane: number) =>
  `for p in /sys/class/virtio-ports/*; do [ "$(cat $p/name)" = banger.lane.${lane} ] &&
    port=/dev/\${p##*/}; done;`;

/** How many processes of the guest have a lane open. */
const openLanes = `ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c '/dev/vport0p[2-9]'`;

const name = "lanes of a real guest";
Deno.test({
  name,
  ignore: skipUnless(name, isBuilt(), "build/bin/banger is not built"),
  fn: (t) =>
    withCachedBanger(async (banger) => {
      const run = ["vm", "run", "--rm", "--no-workspace", "--", "true"];
      await banger.ok(run, { timeoutMs: firstRunMs });
      await using vm = await RawVm.prepare(banger.home, { cpus: 2, memoryMib: 1024 });
      await vm.launch();
      let isFirst = true;
      const step = (what: string, body: (daemon: Daemon) => Promise<void>, count?: number) =>
        t.step(what, async () => {
          await using daemon = new Daemon(vm, await vm.session(isFirst), count);
          isFirst = false;
          await body(daemon);
        });

      await step("all three channels move, and every byte arrives in order", async (daemon) => {
        const total = 24 * mib;
        const script = `head -c ${total} /dev/zero >&2 & cat; wait; exit 7`;
        const stream = daemon.run(["sh", "-c", script], true);
        const [sent, [bytes, got], [errBytes]] = await Promise.all([
          feed(stream, total),
          digestOf(stream, 0),
          digestOf(stream, 1),
        ]);
        assert.deepEqual(await exitOf(stream), { how: "exited", code: 7 });
        assert.deepEqual([bytes, errBytes, got], [total, total, sent]);
        assert.equal(daemon.links.length, 3);
        assert.equal((await daemon.free()).length, laneCount);
      });

      await step("a small command takes no lane", async (daemon) => {
        assert.equal(await daemon.sh("echo small"), "small\n");
        assert.equal(daemon.links.length, 0);
      });

      await step("a program that reads only some of its stdin ends as it likes", async (daemon) => {
        const script = `head -c ${4 * mib} | wc -c; exec 0<&-; exit 3`;
        const stream = daemon.run(["sh", "-c", script], true);
        const sending = feed(stream, 64 * mib).catch(() => "ended");
        assert.equal(new TextDecoder().decode(await allOf(stream)), `${4 * mib}\n`);
        assert.deepEqual(await exitOf(stream), { how: "exited", code: 3 });
        await sending;
        assert.equal((await daemon.free()).length, laneCount);
      });

      await step(
        "a client that stops reading holds the program back, and loses nothing",
        async (daemon) => {
          const total = 64 * mib;
          const script = `head -c ${total} /dev/zero & echo $!; wait; exit 5`;
          const stream = daemon.run(["sh", "-c", script]);
          let bytes = 0;
          let pid = "";
          while (bytes < 3 * mib) {
            const piece = (await stream.read(0))!;
            pid ||= new TextDecoder().decode(piece.subarray(0, 10)).split("\n")[0]!;
            bytes += piece.length;
          }
          assert.equal(daemon.links.length, 1);
          const written = async () =>
            Number(/wchar: (\d+)/.exec(await daemon.sh(`cat /proc/${pid}/io`))![1]);
          let last = -1;
          await until("the program is held back", async () => {
            const before = last;
            last = await written();
            return last === before;
          });
          // Pipe, port and sockets hold some.
          assert.ok(last < bytes + 24 * mib, `${last} bytes`);
          bytes += (await digestOf(stream))[0];
          assert.equal(bytes, total + pid.length + 1);
          assert.deepEqual(await exitOf(stream), { how: "exited", code: 5 });
        },
      );

      await step("a program that stops reading holds the client back", async (daemon) => {
        const stream = daemon.run(["sh", "-c", "head -c 3000000 | wc -c; sleep 2; wc -c"], true);
        let sent = 0;
        let isHeld = false;
        const sending = (async () => {
          for (; sent < 32 * mib; sent += mib) {
            const since = performance.now();
            await stream.write(new Uint8Array(mib));
            isHeld ||= performance.now() - since > 500;
          }
          stream.end();
        })();
        const text = new TextDecoder().decode(await allOf(stream));
        await sending;
        assert.deepEqual(text.split("\n"), ["3000000", `${32 * mib - 3_000_000}`, ""]);
        assert.ok(isHeld);
      });

      await step(
        "a child left in the background does not hold an output for ever",
        async (daemon) => {
          const script = `head -c ${8 * mib} /dev/zero; sleep 300 & echo $!; exit 4`;
          const stream = daemon.run(["sh", "-c", script]);
          const all = await allOf(stream);
          const pid = Number(new TextDecoder().decode(all.subarray(8 * mib)));
          assert.ok(pid > 1, `${all.length} bytes`);
          assert.deepEqual(await exitOf(stream), { how: "exited", code: 4 });
          assert.equal(daemon.links.length, 1);
          const loud = daemon.run(["sh", "-c", `head -c ${2 * mib} /dev/zero; yes & exit 6`]);
          await digestOf(loud);
          assert.deepEqual(await exitOf(loud), { how: "exited", code: 6 });
          assert.equal((await daemon.sh(openLanes)).trim(), "0");
          await daemon.sh(`kill ${pid}`);
          assert.equal((await daemon.free()).length, laneCount);
        },
      );

      await step(
        "one lane, used again and again, also by commands that were broken off",
        async (daemon) => {
          for (let turn = 0; turn < 8; turn++) {
            const broken = daemon.run(["sh", "-c", turn % 2 === 0 ? "exec yes" : "cat; cat"], true);
            if (turn % 2 === 0) {
              for (let got = 0; got < 2 * mib;) got += (await broken.read(0))!.length;
            } else {
              void digestOf(broken).catch(() => {});
              await broken.write(new Uint8Array(3 * mib));
            }
            broken.reset("enough");
            const total = 2 * mib + turn;
            const stream = daemon.run(["head", "-c", `${total}`, "/dev/zero"]);
            assert.equal((await digestOf(stream))[0], total);
            assert.deepEqual(await exitOf(stream), { how: "exited", code: 0 });
          }
          assert.ok(daemon.links.length >= 12, `${daemon.links.length} uses`);
          await roundTrip(daemon, 4 * mib);
        },
        1,
      );

      await step("more channels at once than lanes", async (daemon) => {
        await Promise.all(Array.from({ length: 8 }, () => roundTrip(daemon, 3 * mib)));
        assert.ok(daemon.links.length >= laneCount);
        assert.equal((await daemon.free()).length, laneCount);
      });

      await step(
        "a client that goes away ends an endless program and what moves its output",
        async (daemon) => {
          const stream = daemon.run(["sh", "-c", "echo $$; exec yes"]);
          const first = new TextDecoder().decode((await stream.read(0))!);
          const pid = Number(first.split("\n")[0]);
          for (let got = 0; got < 4 * mib;) got += (await stream.read(0))!.length;
          assert.equal(daemon.links.length, 1);
          stream.reset("gone");
          await until(
            "nobody is left",
            async () =>
              await daemon.sh(`kill -0 ${pid} 2>/dev/null; echo $?; ${openLanes}`) === "1\n0\n",
          );
        },
      );

      await step("a lane that breaks is told, not taken for the end", async (daemon) => {
        const out = daemon.run(["sh", "-c", "echo $$; exec cat /dev/zero"]);
        const pid = Number(new TextDecoder().decode((await out.read(0))!).split("\n")[0]);
        for (let got = 0; got < 4 * mib;) got += (await out.read(0))!.length;
        daemon.links[0]!.link.close();
        await digestOf(out).catch(() => {});
        assert.match(String(await exitOf(out)), /lane of the command broke/);
        await until(
          "the program has ended",
          async () => await daemon.sh(`kill -0 ${pid} 2>/dev/null; echo $?`) === "1\n",
        );

        const into = daemon.run(["sh", "-c", "wc -c; echo whole"], true);
        const sending = feed(into, 1024 * mib).catch(() => "broken off");
        // Until it has, a lane that goes away is none that breaks: stdin stays on the link.
        await until("stdin moves", () => Promise.resolve((daemon.links[1]?.sentBytes ?? 0) > mib));
        daemon.links[1]!.link.close();
        assert.equal(await sending, "broken off");
        const text = await allOf(into).catch(() => new Uint8Array(0));
        assert.match(String(await exitOf(into)), /lane of the command broke/);
        assert.doesNotMatch(new TextDecoder().decode(text), /whole/);
      });

      await step("what an earlier use left in a lane reaches nobody", async (daemon) => {
        // To the host: a program writes into the port, and is killed.
        const left = `${findPort(0)} exec 3<>$port; head -c 3000000 /dev/zero >&3; echo; sleep 1`;
        await daemon.sh(`(${left}) >/dev/null 2>&1 &`);
        // To the guest: bytes wait in the port of a program that does not read.
        const link = await vm.machine.openLane(1);
        const deaf = daemon.run(["sh", "-c", `${findPort(1)} exec 3<>$port; echo; sleep 100`]);
        await deaf.read(0);
        await Promise.race([link.write(new Uint8Array(3_000_000)), sleep(300)]).catch(() => {});
        link.close();
        deaf.reset("enough");
        await roundTrip(daemon, 6 * mib);
        assert.equal(daemon.links.length, 2);
      }, 2);

      await step(
        "a lane that the guest keeps open rests; its channel stays on the link",
        async (daemon) => {
          const held = daemon.run(["sh", "-c", `${findPort(0)} exec 3<>$port; echo; sleep 100`]);
          await held.read(0);
          const total = 6 * mib;
          const stream = daemon.run(["sh", "-c", `head -c ${total} /dev/zero; sleep 8; exit 2`]);
          assert.equal((await digestOf(stream))[0], total);
          assert.deepEqual(await exitOf(stream), { how: "exited", code: 2 });
          assert.equal(daemon.links.length, 1);
          assert.deepEqual(await daemon.free(), []);
          held.reset("enough");
          daemon.nowMs += 60_000;
          await roundTrip(daemon, 2 * mib);
          assert.equal(daemon.links.length, 2);
        },
        1,
      );

      await step("a daemon that died: the next one uses all lanes", async (daemon) => {
        const streams = Array.from({ length: laneCount }, () => daemon.run(["cat"], true));
        for (const stream of streams) {
          void stream.write(new Uint8Array(64 * mib)).catch(() => {});
          for (let got = 0; got < 2 * mib;) got += (await stream.read(0))!.length;
        }
        assert.ok(daemon.links.length >= laneCount);
      });
      await step("… as if nothing had been", async (daemon) => {
        await Promise.all([1, 2, 3].map(() => roundTrip(daemon, 4 * mib)));
        assert.equal(daemon.links.length, laneCount);
        assert.equal((await daemon.free()).length, laneCount);
      });

      await step("an agent that was killed: the next one uses all lanes", async (daemon) => {
        const streams = Array.from({ length: laneCount }, () => daemon.run(["yes"]));
        for (const stream of streams) {
          for (let got = 0; got < 2 * mib;) got += (await stream.read(0))!.length;
        }
        assert.equal(daemon.links.length, laneCount);
        void daemon.run(["sh", "-c", "kill -9 $PPID"]);
        await daemon.session.closed;
        for (const stream of streams) assert.equal((await stream.ended).how, "reset");
      });
      await step("… as if nothing had been", async (daemon) => {
        await Promise.all([1, 2, 3].map(() => roundTrip(daemon, 4 * mib)));
        assert.equal(daemon.links.length, laneCount);
      });
    }),
});
