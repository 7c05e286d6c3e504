import assert from "node:assert/strict";
import { isBangerError } from "../../src/model/errors.ts";
import { takeDaemonLock } from "../../src/daemon/daemon_lock.ts";
import { selfCommand } from "../../src/version/self_command.ts";
import { connectUnix } from "../../src/transport/unix_client.ts";
import { skipUnless } from "../support/require.ts";
import { exists } from "../../src/files/exists.ts";
import { eventually, stopDaemon, withOwner } from "./daemon_fixture.ts";

Deno.test("daemon: ten starts at once give one daemon", async () => {
  await withOwner(async (owner) => {
    const clients = await Promise.all(Array.from({ length: 10 }, () => owner.connect()));
    const statuses = await Promise.all(clients.map((client) => client.call("daemon.status", {})));
    assert.equal(new Set(statuses.map((status) => status.pid)).size, 1);
    assert.equal(takeDaemonLock(owner.paths.daemonLock), undefined);
    assert.equal(
      (await Deno.readTextFile(owner.paths.daemonPid)).trim(),
      String(statuses[0]?.pid),
    );
    assert.deepEqual(owner.notices, []);
  });
});

Deno.test("daemon: what a killed one left behind is no obstacle", async () => {
  await withOwner(async (owner) => {
    const client = await owner.connect();
    const { pid } = await client.call("daemon.status", {});
    const waiting = client.call("operation.watch", { id: "0123456789abcdef" });
    await assert.rejects(waiting, (e) => isBangerError(e, "not_found"));
    Deno.kill(pid, "SIGKILL");
    await client.closed;
    await assert.rejects(
      client.call("daemon.ping", {}),
      (e) => isBangerError(e, "unavailable") && e.hint !== undefined,
    );
    assert.ok(await exists(owner.paths.daemonSocket));
    assert.ok(await exists(owner.paths.daemonPid));
    // The kernel closes a dying process's sockets one after the other.
    await eventually("no one serves", async () => {
      try {
        await owner.connect({ start: "never" });
        return false;
      } catch (error) {
        return isBangerError(error, "unavailable");
      }
    });
    await owner.connect();
    assert.notEqual(await owner.pid(), pid);
  });
});

Deno.test("daemon: SIGTERM ends it in order, and the next one starts", async () => {
  await withOwner(async (owner) => {
    const client = await owner.connect();
    const { pid } = await client.call("daemon.status", {});
    Deno.kill(pid, "SIGHUP");
    await client.call("daemon.ping", {});
    Deno.kill(pid, "SIGTERM");
    await client.closed;
    await eventually("the lock is free", () => {
      const lock = takeDaemonLock(owner.paths.daemonLock);
      lock?.[Symbol.dispose]();
      return Promise.resolve(lock !== undefined);
    });
    assert.equal(await exists(owner.paths.daemonSocket), false);
    assert.equal(await exists(owner.paths.daemonPid), false);
    assert.match(await Deno.readTextFile(owner.paths.daemonLog), /Ended \{"clean":true\}/);
    await (await owner.connect()).call("daemon.ping", {});
  });
});

Deno.test("daemon: a stop is followed by a start without a gap", async () => {
  await withOwner(async (owner) => {
    await owner.connect();
    const before = await owner.pid();
    await stopDaemon(owner);
    const client = await owner.connect();
    assert.notEqual((await client.call("daemon.status", {})).pid, before);
  });
});

Deno.test("daemon: ended and killed again and again, the next call works at once", async () => {
  await withOwner(async (owner) => {
    for (const signal of ["SIGTERM", "SIGKILL", "SIGTERM", "SIGKILL"] as const) {
      const client = await owner.connect();
      const { pid } = await client.call("daemon.status", {});
      Deno.kill(pid, signal);
      await client.closed;
    }
    await (await owner.connect()).call("daemon.status", {});
  });
});

Deno.test("daemon: it gets a short environment and the root directory", async () => {
  const env = { MY_TOKEN: "hunter2", HTTPS_PROXY: "http://proxy.test:3128", LD_PRELOAD: "" };
  await withOwner(async (owner) => {
    await owner.connect();
    const pid = await owner.pid();
    const environment = await Deno.readTextFile(`/proc/${pid}/environ`);
    assert.ok(!environment.includes("hunter2") && !environment.includes("LD_PRELOAD"));
    assert.ok(environment.includes("HTTPS_PROXY=http://proxy.test:3128"));
    assert.equal(await Deno.readLink(`/proc/${pid}/cwd`), "/");
  }, { env });
});

Deno.test("daemon: no descriptor of its own or its starter's reaches programs it starts", async () => {
  await withOwner(async (owner) => {
    const command = () => {
      const { program, args, env } = selfCommand();
      const script = 'exec 5>"$HOME/inherited"; exec "$0" "$@"';
      return { program: "/bin/sh", args: ["-c", script, program, ...args], env };
    };
    await (await owner.connect({ command })).call("daemon.ping", {});
    const pid = await owner.pid();
    for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
      const info = await Deno.readTextFile(`/proc/${pid}/fdinfo/${name}`).catch(() => undefined);
      if (info === undefined || Number(name) <= 2) continue;
      assert.match(info, /^flags:\s*0?2[0-7]{6}$/m, `descriptor ${name}`);
      const target = await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "");
      assert.ok(!target.endsWith("/inherited"), "an inherited file is open");
    }
  });
});

Deno.test("daemon: a home of 200 characters works", async () => {
  await withOwner(async (owner) => {
    assert.equal(owner.paths.home.length, 200);
    const status = await (await owner.connect()).call("daemon.status", {});
    assert.ok(status.socketPath.length <= 107);
    assert.ok(status.stateDir.startsWith(owner.paths.home));
  }, { homeLength: 200 });
});

Deno.test("daemon: a state directory that is a symlink to another disk works", async () => {
  await withOwner(async (owner) => {
    const { home, stateDir } = owner.paths;
    await Deno.mkdir(`${home}/disk`);
    await Deno.mkdir(stateDir.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.symlink(`${home}/disk`, stateDir);
    await (await owner.connect()).call("operation.list", {});
    assert.ok(await exists(`${home}/disk/store.db`));
  });
});

Deno.test("daemon: private to its user", async () => {
  await withOwner(async (owner) => {
    await owner.connect();
    const mode = async (path: string) => ((await Deno.stat(path)).mode ?? 0) & 0o777;
    assert.equal(await mode(owner.paths.daemonSocket), 0o600);
    assert.equal(await mode(owner.paths.stateDir), 0o700);
    assert.equal(await mode(owner.paths.storeFile), 0o600);
    assert.equal(await mode(owner.paths.daemonLog), 0o600);
    assert.equal(await mode(owner.paths.runtimeDir) & 0o066, 0);
  });
});

Deno.test("daemon: bad frames get answers and hurt no one else", async () => {
  await withOwner(async (owner) => {
    const good = await owner.connect();
    await good.call("daemon.ping", {});
    const deep = "[".repeat(100_000) + "]".repeat(100_000);
    const attacks = [
      new TextEncoder().encode(`${deep}\n`),
      new TextEncoder().encode('{"jsonrpc":"2.0","id":1,"method":"__proto__"}\n'),
      new TextEncoder().encode('{"jsonrpc":"2.0","id":1,"method":"vm.show","params":{"vm":7}}\n'),
      new Uint8Array([0xff, 0xfe, 0x0a]),
    ];
    for (const attack of attacks) {
      const link = await connectUnix(owner.paths.daemonSocket);
      await link.write(attack);
      const buffer = new Uint8Array(65536);
      const n = await link.read(buffer) ?? assert.fail("no answer");
      assert.match(new TextDecoder().decode(buffer.subarray(0, n)), /"error":\{"code":-32/);
      link.close();
    }
    const flood = await connectUnix(owner.paths.daemonSocket);
    const megabyte = new Uint8Array(1024 * 1024).fill(0x61);
    await assert.rejects(async () => {
      for (let i = 0; i < 64; i++) await flood.write(megabyte);
    });
    flood.close();
    await good.call("daemon.ping", {});
    assert.ok((await good.call("daemon.status", {})).rssBytes < 300 * 1024 ** 2);
  });
});

Deno.test("daemon: two hundred clients at once, and the descriptors come back", async () => {
  await withOwner(async (owner) => {
    const first = await owner.connect();
    const { pid } = await first.call("daemon.status", {});
    const descriptors = () => Array.from(Deno.readDirSync(`/proc/${pid}/fd`)).length;
    const before = descriptors();
    const clients = await Promise.all(Array.from({ length: 200 }, () => owner.connect()));
    await Promise.all(clients.map((client) => client.call("operation.list", {})));
    for (const client of clients) client.close();
    await eventually("descriptors are given back", () => Promise.resolve(descriptors() <= before));
  });
});

Deno.test("daemon: clients that come and go all the time are all let in", async () => {
  await withOwner(async (owner) => {
    await owner.connect();
    const ping = new TextEncoder().encode('{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}\n');
    const comeAndGo = async () => {
      const buffer = new Uint8Array(4096);
      for (let n = 0; n < 200; n++) {
        const link = await connectUnix(owner.paths.daemonSocket);
        (await connectUnix(owner.paths.daemonSocket)).close();
        await link.write(ping);
        assert.ok(await link.read(buffer) !== null, `connection ${n}`);
        link.close();
      }
    };
    await Promise.all(Array.from({ length: 8 }, comeAndGo));
    assert.doesNotMatch(await Deno.readTextFile(owner.paths.daemonLog), /refused/);
  });
});

const stranger = "daemon: another user is refused, even where the socket is open to everyone";
const hasTools = await exists("/usr/bin/setpriv") && await exists("/usr/bin/python3");
Deno.test({
  name: stranger,
  ignore: skipUnless(
    stranger,
    Deno.uid() === 0 && hasTools,
    "needs root to become another user, setpriv and python3",
  ),
  async fn() {
    await withOwner(async (owner) => {
      await owner.connect();
      const { runtimeBase, runtimeDir, daemonSocket } = owner.paths;
      for (const dir of [runtimeBase, runtimeDir]) {
        assert.ok(((await Deno.stat(dir)).mode ?? 0) & 1);
      }
      await Deno.chmod(daemonSocket, 0o666);
      const script = `
        import socket, sys
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(sys.argv[1])
        try:
            peer.sendall(b'{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}\\n')
            sys.exit(1 if peer.recv(100) else 0)
        except OSError:
            sys.exit(0)`.replaceAll("\n        ", "\n");
      const { success } = await new Deno.Command("/usr/bin/setpriv", {
        args: [
          ...["--reuid=65534", "--regid=65534", "--clear-groups"],
          ...["/usr/bin/python3", "-c", script, daemonSocket],
        ],
      }).output();
      assert.ok(success, "it was answered");
      await eventually("the refusal is logged", async () => {
        const log = await Deno.readTextFile(owner.paths.daemonLog);
        return log.includes("A connection was refused") && log.includes("another user");
      });
      // The stranger has gone: the owner goes on.
      await (await owner.connect()).call("daemon.ping", {});
    });
  },
});

Deno.test("daemon: a damaged store is told by every call that needs it", async () => {
  await withOwner(async (owner) => {
    await Deno.mkdir(owner.paths.stateDir, { recursive: true });
    await Deno.writeTextFile(owner.paths.storeFile, "no database, just text\n".repeat(100));
    const client = await owner.connect();
    await client.call("daemon.status", {});
    await assert.rejects(client.call("vm.list", {}), (e) => {
      assert.ok(isBangerError(e, "precondition"));
      assert.ok(e.message.includes(owner.paths.storeFile));
      return e.code === "STORE_DAMAGED" && (e.hint?.includes("mv ") ?? false);
    });
    await assert.rejects(client.call("operation.list", {}), (e) => isBangerError(e));
    assert.match(await Deno.readTextFile(owner.paths.storeFile), /^no database/);
  });
});

Deno.test("daemon: a broken configuration is told with line and column", async () => {
  await withOwner(async (owner) => {
    await Deno.mkdir(owner.paths.configDir, { recursive: true });
    await Deno.writeTextFile(owner.paths.configFile, "[vm_defaults]\ncpus = 0\n");
    await assert.rejects(owner.connect(), (e) => {
      assert.ok(isBangerError(e, "invalid"));
      return e.message.includes(`${owner.paths.configFile}:2:1`);
    });
    assert.match(await Deno.readTextFile(owner.paths.daemonLog), /config\.toml:2:1/);
  });
});

Deno.test("daemon: a state directory that cannot be made is named", async () => {
  await withOwner(async (owner) => {
    await Deno.writeTextFile(`${owner.paths.home}/.local`, "a file in the way");
    await assert.rejects(owner.connect(), (e) => {
      assert.ok(isBangerError(e, "precondition"), String(e));
      return e.message.includes(owner.paths.stateDir) && e.hint !== undefined;
    });
  });
});

Deno.test("daemon: a program that is no banger is told with what it said", async () => {
  await withOwner(async (owner) => {
    const command = () => ({
      program: "/bin/sh",
      args: ["-c", "echo this is no daemon >&2; exit 3"],
      env: {},
    });
    await assert.rejects(owner.connect({ command }), (e) => {
      assert.ok(isBangerError(e, "unavailable"));
      return e.message.includes("code 3") && (e.detail?.includes("no daemon") ?? false);
    });
    const stop = AbortSignal.abort(new Error("stopped"));
    await assert.rejects(owner.connect({ signal: stop }), /stopped/);
  });
});

Deno.test("daemon: another version is noticed", async () => {
  await withOwner(async (owner) => {
    const client = await owner.connect({ own: { version: "9.9.9", commit: "abc", build: null } });
    await client.call("daemon.ping", {});
    await eventually("a notice", () => Promise.resolve(owner.notices.length === 1));
    assert.match(owner.notices[0] ?? "", /9\.9\.9.*banger daemon stop/);
  });
});
