import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { BangerError } from "../model/errors.ts";
import type { DownloadOptions, ExpectedContent } from "./download.ts";
import { downloadBytes, downloadFile, verifiedOnDisk } from "./download_to.ts";

const content = new TextEncoder().encode("what the mirror has".repeat(1000));
const expected: ExpectedContent = {
  bytes: content.length,
  sha256: createHash("sha256").update(content).digest("hex"),
};

async function served(
  answer: (attempt: number, request: Request) => Response,
  check: (options: DownloadOptions, attempts: () => number) => Promise<void>,
): Promise<void> {
  let attempts = 0;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => answer(++attempts, request),
  );
  try {
    const url = `http://127.0.0.1:${server.addr.port}/pool/thing.deb`;
    await check({ url, expected, retryDelaysMs: [1, 1] }, () => attempts);
  } finally {
    await server.shutdown();
  }
}

function kindAnd(kind: string, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof BangerError, String(error));
    assert.equal(error.kind, kind);
    assert.match(error.message, message);
    return true;
  };
}

Deno.test("the server's own failures are tried again, its refusals are not", async () => {
  const flaky = (attempt: number) =>
    attempt < 3 ? new Response("busy", { status: 503 }) : new Response(content);
  await served(flaky, async (options, attempts) => {
    assert.deepEqual(await downloadBytes(options), content);
    assert.equal(attempts(), 3);
  });
  await served(() => new Response("", { status: 500 }), async (options, attempts) => {
    await assert.rejects(() => downloadBytes(options), kindAnd("unavailable", /answered 500/));
    assert.equal(attempts(), 3);
  });
  await served(() => new Response("", { status: 404 }), async (options, attempts) => {
    await assert.rejects(() => downloadBytes(options), kindAnd("unavailable", /thing\.deb.* 404/));
    assert.equal(attempts(), 1);
  });
});

Deno.test("more, less and other than expected is refused at once", async () => {
  const cases: [Uint8Array<ArrayBuffer>, RegExp][] = [
    [new Uint8Array(content.length + 1), /more bytes than the 19000 expected/],
    [content.slice(0, 100), /it has 100 bytes, 19000 were expected/],
    [content.slice().reverse(), /its SHA-256 is wrong/],
  ];
  for (const [body, message] of cases) {
    await served(() => new Response(body), async (options, attempts) => {
      await assert.rejects(() => downloadBytes(options), kindAnd("untrusted", message));
      assert.equal(attempts(), 1);
    });
  }
  await served(() => new Response(content), async ({ url }) => {
    const download = () => downloadBytes({ url, maxBytes: 10 });
    await assert.rejects(download, kindAnd("exhausted", /longer than 10 bytes/));
  });
});

Deno.test("a server that goes silent is given up after the stall time", async () => {
  const silent = () =>
    new Response(new ReadableStream({ start: (out) => out.enqueue(content.slice(0, 5)) }));
  await served(silent, async (options) => {
    const hasty = { ...options, stallTimeoutMs: 50, retryDelaysMs: [] };
    await assert.rejects(() => downloadBytes(hasty), kindAnd("unavailable", /nothing came for/));
  });
});

Deno.test("nobody listening is told as such", async () => {
  const options = { url: "http://127.0.0.1:9/x", maxBytes: 1, retryDelaysMs: [1] };
  await assert.rejects(() => downloadBytes(options), kindAnd("unavailable", /Cannot download "x"/));
});

Deno.test("a file appears whole or not at all, and is checked again before use", async () => {
  const directory = await Deno.makeTempDir({ prefix: "banger-download-test-" });
  const path = `${directory}/thing.deb`;
  const names = () => Array.fromAsync(Deno.readDir(directory), (entry) => entry.name);
  try {
    await served(() => new Response(content.slice(1)), async (options) => {
      await assert.rejects(() => downloadFile(path, options));
      assert.deepEqual(await names(), []);
    });
    await served(() => new Response(content), async (options) => {
      const seen: number[] = [];
      await downloadFile(path, { ...options, onProgress: (bytes) => seen.push(bytes) });
      assert.deepEqual(await names(), ["thing.deb"]);
      assert.equal(seen.at(-1), content.length);
    });
    assert.equal(await verifiedOnDisk(path, expected), true);
    await Deno.writeTextFile(path, "changed");
    assert.equal(await verifiedOnDisk(path, expected), false);
    assert.deepEqual(await names(), []);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
