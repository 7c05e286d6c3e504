import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { isBangerError } from "../model/errors.ts";
import { fetchBytes } from "./fetch_bytes.ts";
import { fetchFile } from "./fetch_file.ts";

const never = new AbortController().signal;
const content = new Uint8Array(200_000).map((_, index) => (index * 7) % 251);
const sha256 = createHash("sha256").update(content).digest("hex");
const fast = { retryDelaysMs: [1, 1, 1], stallTimeoutMs: 2_000, signal: never };

interface Server extends AsyncDisposable {
  readonly url: string;
  readonly requests: Request[];
}

/** Serves `handler`, called with the number of the request, on loopback. */
function serve(handler: (request: Request, count: number) => Response | Promise<Response>): Server {
  const requests: Request[] = [];
  const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
  const server = Deno.serve(options, (request) => {
    requests.push(request);
    return handler(request, requests.length);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/x.bundle`,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** As a server that knows ranges: what is asked for, broken off after `bytes` of it. */
function part(request: Request, bytes = Infinity): Response {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
  const rest = content.slice(start);
  const headers = {
    "content-length": String(rest.length),
    etag: '"v1"',
    ...(start === 0
      ? {}
      : { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` }),
  };
  const status = start === 0 ? 200 : 206;
  if (bytes >= rest.length) return new Response(rest, { status, headers });
  return new Response(cut(rest.slice(0, bytes)), { status, headers });
}

/** Ends as if it were whole. */
function cut(begin: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start: (controller) => {
      controller.enqueue(begin);
      controller.close();
    },
  });
}

function broken(begin: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start: (controller) => controller.enqueue(begin),
    pull: (controller) => controller.error(new Error("the test breaks this connection")),
  });
}

async function fetched(url: string, options: Partial<Parameters<typeof fetchFile>[1]> = {}) {
  const dir = await Deno.makeTempDir({ prefix: "banger-test-" });
  try {
    const path = `${dir}/x`;
    let error: unknown;
    await fetchFile(path, { ...fast, url, expected: { size: content.length, sha256 }, ...options })
      .catch((thrown) => error = thrown);
    const left = (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name);
    if (error === undefined) {
      assert.deepEqual(await Deno.readFile(path), content);
      assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    } else assert.deepEqual(left, []);
    return error;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a broken connection is taken up where it ended, many times", async () => {
  await using server = serve((request, count) => part(request, count < 8 ? 20_000 : Infinity));
  const steps: number[] = [];
  const error = await fetched(server.url, { onProgress: (bytes) => void steps.push(bytes) });
  assert.equal(error, undefined);
  const ranges = server.requests.map((request) => request.headers.get("range"));
  assert.deepEqual(ranges.slice(0, 3), [null, "bytes=20000-", "bytes=40000-"]);
  assert.equal(server.requests[1]?.headers.get("if-range"), '"v1"');
  assert.equal(server.requests.length, 8);
  assert.deepEqual(steps, steps.toSorted((a, b) => a - b));
  assert.equal(steps.at(-1), content.length);
});

Deno.test("a server without ranges sends everything again", async () => {
  await using server = serve((_, count) =>
    count === 1 ? new Response(broken(content.slice(0, 9000))) : new Response(content)
  );
  assert.equal(await fetched(server.url), undefined);
  assert.equal(server.requests.length, 2);
});

Deno.test("a range that is refused, or another one, starts anew", async () => {
  for (
    const answer of [
      () => new Response("", { status: 416 }),
      () =>
        new Response(content.slice(5), {
          status: 206,
          headers: { "content-range": `bytes 5-${content.length - 1}/${content.length}` },
        }),
    ]
  ) {
    await using server = serve((request, count) =>
      count === 1 ? part(request, 9000) : count === 2 ? answer() : part(request)
    );
    assert.equal(await fetched(server.url), undefined);
    assert.equal(server.requests[2]?.headers.get("range"), null);
  }
});

Deno.test("a server's own failures are tried again, a few times", async () => {
  await using mended = serve((request, count) =>
    count < 3
      ? new Response("", { status: count === 1 ? 503 : 429, headers: { "retry-after": "0" } })
      : part(request)
  );
  assert.equal(await fetched(mended.url), undefined);
  await using down = serve(() => new Response("", { status: 500 }));
  const error = await fetched(down.url);
  assert.ok(isBangerError(error, "unavailable"), String(error));
  assert.match(error.message, /"x.bundle": the server answered 500/);
  assert.equal(down.requests.length, 4);
});

Deno.test("other refusals are not", async () => {
  for (const status of [401, 403, 404, 410]) {
    await using server = serve(() => new Response("", { status }));
    const error = await fetched(server.url);
    assert.ok(isBangerError(error, "unavailable"), String(error));
    assert.match(error.message, new RegExp(`answered ${status}`));
    assert.equal(server.requests.length, 1);
  }
});

Deno.test("other bytes than promised are refused", async () => {
  const cases: readonly (readonly [Uint8Array<ArrayBuffer>, string, RegExp])[] = [
    [content.toReversed(), "untrusted", /its SHA-256 is not the one in the catalog/],
    [new Uint8Array(content.length + 1), "untrusted", /has 200001 bytes, 200000 were expected/],
    [content.slice(0, 1000), "untrusted", /it has 1000 bytes, 200000 were expected/],
    [new Uint8Array(0), "untrusted", /it has 0 bytes, 200000 were expected/],
  ];
  for (const [bytes, kind, words] of cases) {
    await using server = serve((request) =>
      request.headers.has("range") ? new Response("", { status: 416 }) : new Response(bytes)
    );
    const error = await fetched(server.url);
    assert.ok(isBangerError(error), String(error));
    assert.equal(error.kind, kind);
    assert.match(error.message, words);
  }
});

Deno.test("a server that does not tell the length is believed no more", async () => {
  const cases: readonly (readonly [number, string, RegExp])[] = [
    [content.length + 1, "untrusted", /more than the 200000 bytes allowed/],
    [1000, "unavailable", /it ends after 1000 of 200000 bytes/],
  ];
  for (const [length, kind, words] of cases) {
    await using server = serve((request) =>
      request.headers.has("range")
        ? new Response("", { status: 416 })
        : new Response(new Blob([new Uint8Array(length)]).stream())
    );
    const error = await fetched(server.url);
    assert.ok(isBangerError(error), String(error));
    assert.equal(error.kind, kind);
    assert.match(error.message, words);
  }
});

Deno.test("a silent server is given up, and who stops is heard", async () => {
  await using server = serve(() =>
    new Response(new ReadableStream({ start: (it) => it.enqueue(content.slice(0, 10)) }))
  );
  const silent = await fetched(server.url, { stallTimeoutMs: 30, retryDelaysMs: [] });
  assert.ok(isBangerError(silent, "unavailable"), String(silent));
  assert.match(silent.message, /nothing came/);
  const stop = new AbortController();
  const stopped = await fetched(server.url, {
    signal: stop.signal,
    onProgress: () => stop.abort(),
  });
  assert.ok(isBangerError(stopped, "cancelled"), String(stopped));
});

Deno.test("redirects are followed within bounds", async () => {
  await using server = serve((request) => {
    const { pathname } = new URL(request.url);
    const hop = Number(/^\/hop(\d)$/.exec(pathname)?.[1] ?? NaN);
    if (hop > 0) return new Response("", { status: 302, headers: { location: `/hop${hop - 1}` } });
    if (pathname === "/loop") {
      return new Response("", { status: 307, headers: { location: "/loop" } });
    }
    const away: Record<string, string> = {
      "/plain": "http://elsewhere.test/x",
      "/file": "file:///etc/passwd",
      "/user": "https://u:p@elsewhere.test/x",
    };
    const location = away[pathname];
    if (location !== undefined) return new Response("", { status: 301, headers: { location } });
    return new Response(content);
  });
  const at = (path: string) => new URL(path, server.url).href;
  assert.equal(await fetched(at("/hop5")), undefined);
  for (const path of ["/hop6", "/loop", "/plain", "/file", "/user"]) {
    const error = await fetched(at(path));
    assert.ok(isBangerError(error, "untrusted"), `${path}: ${error}`);
    assert.match(error.message, /redirects/);
  }
});

Deno.test("a download into memory has a bound", async () => {
  await using server = serve(() => new Response(content));
  const options = { ...fast, url: server.url };
  assert.deepEqual(await fetchBytes({ ...options, maxBytes: content.length }), content);
  await assert.rejects(
    fetchBytes({ ...options, maxBytes: content.length - 1 }),
    (error) => isBangerError(error, "untrusted"),
  );
  const away = { ...options, url: "http://elsewhere.test/x", maxBytes: 1 };
  await assert.rejects(fetchBytes(away), (error) => isBangerError(error, "untrusted"));
});
