import assert from "node:assert/strict";
import { isBangerError } from "../model/errors.ts";
import { connectUnix } from "./unix_client.ts";
import { UnixServer, type UnixServerOptions } from "./unix_server.ts";

async function inTempDir(body: (path: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(`${dir}/s`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Options of an echo server that lets everyone in. */
function echo(path: string, change: Partial<UnixServerOptions> = {}): UnixServerOptions {
  return {
    path,
    admit: () => Promise.resolve(true),
    maxConnections: 4,
    onRefused: () => {},
    onConnection: async ({ link }) => {
      const buffer = new Uint8Array(65536);
      for (let n = await link.read(buffer); n !== null; n = await link.read(buffer)) {
        await link.write(buffer.slice(0, n));
      }
      link.close();
    },
    ...change,
  };
}

Deno.test("bytes go both ways, megabytes too, and the socket is private", async () => {
  await inTempDir(async (path) => {
    const server = await UnixServer.listen(echo(path));
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
    const link = await connectUnix(path);
    const size = 8 * 1024 * 1024;
    const sent = (async () => {
      for (let at = 0; at < size; at += 65536) {
        await link.write(new Uint8Array(65536).fill(at >> 16));
      }
    })();
    const buffer = new Uint8Array(100_000);
    let got = 0;
    while (got < size) {
      const n = await link.read(buffer) ?? assert.fail("ended");
      assert.equal(buffer[0], (got >> 16) & 0xff);
      got += n;
    }
    await sent;
    link.close();
    await server.close();
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  });
});

Deno.test("the end of a client is noticed, and so is the server's own", async () => {
  await inTempDir(async (path) => {
    const ends: Promise<void>[] = [];
    const server = await UnixServer.listen(echo(path, {
      onConnection: async ({ link, closed }) => {
        ends.push(closed);
        if (await link.read(new Uint8Array(1)) === null) link.close();
      },
    }));
    const [leaves, stays] = [await connectUnix(path), await connectUnix(path)];
    while (ends.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    leaves.close();
    await ends[0];
    assert.equal(server.connectionCount, 1);
    await server.close();
    await ends[1];
    assert.equal(await stays.read(new Uint8Array(1)), null);
    stays.close();
  });
});

Deno.test("a connection that is being checked hears nothing and is ended with the server", async () => {
  await inTempDir(async (path) => {
    const check = Promise.withResolvers<boolean>();
    let served = 0;
    const server = await UnixServer.listen(
      echo(path, { admit: () => check.promise, onConnection: () => served++ }),
    );
    const link = await connectUnix(path);
    await link.write(new Uint8Array([1]));
    const answer = link.read(new Uint8Array(1));
    while (server.connectionCount === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await server.close();
    assert.equal(await answer, null);
    check.resolve(false);
    await check.promise;
    assert.equal(served, 0);
    link.close();
  });
});

Deno.test("whom the check refuses, or fails for, gets nothing", async () => {
  const checks = [() => Promise.resolve(false), () => Promise.reject(new Error("no FFI"))];
  for (const admit of checks) {
    await inTempDir(async (path) => {
      const refused = Promise.withResolvers<string>();
      let served = 0;
      const server = await UnixServer.listen(echo(path, {
        admit,
        onRefused: refused.resolve,
        onConnection: () => served++,
      }));
      const link = await connectUnix(path);
      assert.equal(await link.read(new Uint8Array(1)), null);
      assert.match(await refused.promise, /peer/);
      assert.equal(served, 0);
      link.close();
      await server.close();
    });
  }
});

Deno.test("a stale socket is replaced, a live one is not", async () => {
  await inTempDir(async (path) => {
    const stale = Deno.listen({ transport: "unix", path: `${path}x` });
    await Deno.rename(`${path}x`, path);
    stale.close();
    await assert.rejects(connectUnix(path), (e) => isBangerError(e, "unavailable"));
    const server = await UnixServer.listen(echo(path));
    await assert.rejects(UnixServer.listen(echo(path)), (e) => isBangerError(e, "conflict"));
    (await connectUnix(path)).close();
    await server.close();
  });
});

Deno.test("a file that is no socket is kept and named", async () => {
  await inTempDir(async (path) => {
    await Deno.writeTextFile(path, "mine");
    await assert.rejects(UnixServer.listen(echo(path)), (e) => isBangerError(e, "precondition"));
    assert.equal(await Deno.readTextFile(path), "mine");
    await assert.rejects(connectUnix("/nonexistent/s"), (e) => isBangerError(e, "unavailable"));
  });
});

Deno.test("connections are bounded and given back", async () => {
  await inTempDir(async (path) => {
    const refused = Promise.withResolvers<string>();
    const server = await UnixServer.listen(
      echo(path, { maxConnections: 2, onRefused: refused.resolve }),
    );
    const links = [await connectUnix(path), await connectUnix(path)];
    for (const link of links) {
      await link.write(new Uint8Array([1]));
      await link.read(new Uint8Array(1));
    }
    const third = await connectUnix(path);
    assert.equal(await third.read(new Uint8Array(1)), null);
    assert.match(await refused.promise, /too many/);
    for (const link of [...links, third]) link.close();
    for (let i = 0; i < 100 && server.connectionCount > 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal(server.connectionCount, 0);
    await server.close();
  });
});

Deno.test("a server that ends before it accepts is one that does not serve", async () => {
  const dir = await Deno.makeTempDir();
  try {
    for (let turn = 0; turn < 20; turn++) {
      const listener = Deno.listen({ transport: "unix", path: `${dir}/${turn}` });
      const connecting = connectUnix(`${dir}/${turn}`).then((link) => link.close(), (error) => {
        assert.ok(isBangerError(error, "unavailable"), String(error));
      });
      listener.close();
      await connecting;
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
