import assert from "node:assert/strict";
import { blobAnswer, FakeRegistry, imageIn, noise } from "../../tests/support/fake_registry.ts";
import { account, PullFixture, refused } from "../../tests/support/pull_fixture.ts";
import { parseImageReference } from "../model/image_reference.ts";
import { openRegistry } from "./registry.ts";
import { RegistryTransport } from "./registry_transport.ts";

const layers = [noise(300_000, 1), noise(70_000, 2), noise(10, 3)];
const basic = `Basic ${btoa(`${account.username}:${account.password}`)}`;

Deno.test("an image is resolved and its blobs are in the store, whole and private", async () => {
  await using pull = new PullFixture();
  const image = imageIn(pull.registry, layers);
  const progress: [number, number][] = [];
  const resolved = await pull.pull(pull.origin(), { onProgress: (...at) => progress.push(at) });
  assert.equal(resolved.digest, image.manifest.digest);
  assert.equal(resolved.rootDigest, image.manifest.digest);
  assert.deepEqual(resolved.layers.map(({ digest }) => digest), image.layers.map((l) => l.digest));
  assert.deepEqual(resolved.config.cmd, ["sh"]);
  for (const { digest, bytes } of image.layers) assert.deepEqual(await pull.blob(digest), bytes);
  assert.deepEqual(progress.at(-1), [370_010, 370_010]);
  assert.deepEqual(progress, progress.toSorted(([a], [b]) => a - b));
  assert.equal((await pull.files()).length, 5);
  for (const { digest } of [...image.layers, image.config, image.manifest]) {
    const path = pull.store.path(digest);
    const [file, dir] = [await Deno.stat(path), await Deno.stat(path.replace(/\/[^/]*$/, ""))];
    assert.deepEqual([file, dir].map(({ mode }) => (mode ?? 0) & 0o777), [0o600, 0o700]);
  }
  const before = pull.registry.seen.length;
  await pull.pull();
  assert.equal(pull.registry.seen.length, before + 1, "only the tag is asked for again");
  await pull.pull(pull.origin({ name: `team/app@${image.manifest.digest}` }));
  assert.equal(pull.registry.seen.length, before + 1, "a digest is not asked for again");
});

Deno.test("the server's own failures are tried again, and given up with a next step", async () => {
  await using pull = new PullFixture();
  imageIn(pull.registry, layers);
  pull.registry.misbehave = (_, count) =>
    count < 3 ? new Response("busy", { status: count === 1 ? 500 : 503 }) : undefined;
  await pull.pull();
  await using down = new PullFixture();
  imageIn(down.registry, layers);
  down.registry.misbehave = () => new Response("", { status: 502 });
  await assert.rejects(() => down.pull(), refused("unavailable", /team\/app.* answered 502/));
  assert.equal(down.registry.seen.length, 4);
});

Deno.test("429 is waited for as long as the registry asks, within a bound", async () => {
  await using pull = new PullFixture();
  imageIn(pull.registry, layers);
  const at: number[] = [];
  pull.registry.misbehave = (_, count) => {
    at.push(performance.now());
    return count === 1 && at.length === 1
      ? new Response("", { status: 429, headers: { "retry-after": "1" } })
      : undefined;
  };
  await pull.pull();
  assert.ok((at[1] ?? 0) - (at[0] ?? 0) >= 990);
  await using long = new PullFixture();
  long.registry.misbehave = () =>
    new Response("", { status: 429, headers: { "retry-after": "3600" } });
  await assert.rejects(
    () => long.pull(),
    refused("unavailable", /answered 429; it asks to wait 3600 s/),
  );
  assert.equal(long.registry.seen.length, 1);
});

Deno.test("401, 403 and 404 are told at once, with the command that helps", async () => {
  for (
    const [status, kind, message] of [
      [401, "precondition", /does not say how to log in \(401\)/],
      [403, "precondition", /does not let it read tag "latest" \(403\)/],
      [404, "not_found", /has no tag "latest"/],
      [418, "unavailable", /answered 418/],
    ] as const
  ) {
    await using pull = new PullFixture();
    pull.registry.misbehave = () => new Response("{}", { status });
    await assert.rejects(() => pull.pull(), (error) => {
      refused(kind, message)(error);
      assert.match(String((error as { hint?: string }).hint), /docker login 127\.0\.0\.1:/);
      return true;
    });
    assert.equal(pull.registry.seen.length, 1);
  }
});

Deno.test("a blob that a manifest names and the registry lacks is named", async () => {
  await using pull = new PullFixture();
  const { layers: [first] } = imageIn(pull.registry, layers);
  pull.registry.blobs.delete(first?.digest ?? "");
  const message = new RegExp(`has no blob ${first?.digest}`);
  await assert.rejects(() => pull.pull(), refused("not_found", message));
});

/** Where the rest that a request asks for starts. */
function startOf(request: Request): number {
  return Number(/[0-9]+/.exec(request.headers.get("range") ?? "0")?.[0]);
}

Deno.test("a silent registry is given up, a silent transfer gone on with by Range", async () => {
  await using pull = new PullFixture();
  const { layers: [first] } = imageIn(pull.registry, layers);
  const bytes = first?.bytes ?? new Uint8Array();
  const silentAfter = new Map([[0, 100_000], [100_000, 150_000]]);
  pull.registry.misbehave = (request) => {
    const from = startOf(request);
    const to = silentAfter.get(from);
    if (!request.url.endsWith(first?.digest ?? "?") || to === undefined) return undefined;
    const piece = pull.registry.stalling(bytes.slice(from, to));
    const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    return from === 0
      ? new Response(piece)
      : new Response(piece, { status: 206, headers: { "content-range": range } });
  };
  await pull.pull(pull.origin({ silenceMs: 250 }));
  const ranges = pull.registry.requests(first?.digest ?? "?").map(({ range }) => range);
  assert.deepEqual([...new Set(ranges)], [null, "bytes=100000-", "bytes=150000-"]);
  assert.deepEqual(await pull.blob(first?.digest ?? "sha256:"), bytes);
  await using mute = new PullFixture();
  mute.registry.misbehave = () => new Response(mute.registry.stalling(new Uint8Array(0)));
  await assert.rejects(
    () => mute.pull(mute.origin({ silenceMs: 50 })),
    refused("unavailable", /nothing came for too long/),
  );
});

Deno.test("as long as something comes, a transfer may break off more often than there are pauses", async () => {
  await using pull = new PullFixture();
  const { layers: [first] } = imageIn(pull.registry, layers);
  const bytes = first?.bytes ?? new Uint8Array();
  pull.registry.misbehave = (request) => {
    if (!request.url.endsWith(first?.digest ?? "?")) return undefined;
    const from = startOf(request);
    if (from >= 240_000) return undefined;
    const piece = pull.registry.stalling(bytes.slice(from, from + 40_000));
    const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    return from === 0
      ? new Response(piece)
      : new Response(piece, { status: 206, headers: { "content-range": range } });
  };
  await pull.pull(pull.origin({ silenceMs: 200 }));
  assert.ok(pull.registry.requests(first?.digest ?? "?").length >= 7);
});

Deno.test("a trickle counts as silence", async () => {
  await using pull = new PullFixture();
  const { layers: [first] } = imageIn(pull.registry, layers);
  const timers = new Set<ReturnType<typeof setInterval>>();
  pull.registry.misbehave = ({ url }) => {
    if (!url.endsWith(first?.digest ?? "?")) return undefined;
    let timer: ReturnType<typeof setInterval>;
    return new Response(
      new ReadableStream({
        start: (out) => {
          timer = setInterval(() => out.enqueue(new Uint8Array(1)), 20);
          timers.add(timer);
        },
        cancel: () => clearInterval(timer),
      }),
    );
  };
  await assert.rejects(
    () => pull.pull(pull.origin({ silenceMs: 200 })),
    refused("unavailable", /broke off: nothing came/),
  );
  for (const timer of timers) clearInterval(timer);
});

Deno.test("a registry that cannot do ranges sends it all again, and the rest is taken", async () => {
  await using pull = new PullFixture();
  const { layers: [first] } = imageIn(pull.registry, layers);
  const bytes = first?.bytes ?? new Uint8Array();
  pull.registry.misbehave = ({ url }, count) =>
    !url.endsWith(first?.digest ?? "?")
      ? undefined
      : new Response(count === 1 ? pull.registry.stalling(bytes.slice(0, 100_000)) : bytes);
  await pull.pull(pull.origin({ silenceMs: 150 }));
  assert.deepEqual(await pull.blob(first?.digest ?? "sha256:"), bytes);
});

Deno.test("an answer with another range than asked for is not taken", async () => {
  await using pull = new PullFixture();
  const { layers: [first] } = imageIn(pull.registry, layers);
  const bytes = first?.bytes ?? new Uint8Array();
  pull.registry.misbehave = ({ url }, count) =>
    !url.endsWith(first?.digest ?? "?")
      ? undefined
      : count === 1
      ? new Response(pull.registry.stalling(bytes.slice(0, 100_000)))
      : count === 2
      ? new Response(bytes.slice(150_000), {
        status: 206,
        headers: { "content-range": `bytes 150000-${bytes.length - 1}/${bytes.length}` },
      })
      : undefined;
  await pull.pull(pull.origin({ silenceMs: 150 }));
  assert.deepEqual(await pull.blob(first?.digest ?? "sha256:"), bytes);
});

Deno.test("a lie about size or digest is told with the digest, and nothing is kept", async () => {
  const wrong = layers[0]?.slice().reverse() ?? new Uint8Array();
  const chunked = (bytes: Uint8Array<ArrayBuffer>) => new Response(new Blob([bytes]).stream());
  const cases: [Response, RegExp, string][] = [
    [new Response(wrong), /for sha256:\w+ has another digest/, "DIGEST_MISMATCH"],
    [new Response(wrong.slice(1)), /sha256:\w+ has 299999 bytes, 300000/, "SIZE_MISMATCH"],
    [new Response(new Uint8Array(300_001)), /has 300001 bytes, 300000/, "SIZE_MISMATCH"],
    [chunked(wrong.slice(1)), /has only 299999 bytes, 300000/, "SIZE_MISMATCH"],
    [chunked(new Uint8Array(300_001)), /has more bytes, 300000/, "SIZE_MISMATCH"],
  ];
  for (const [answer, message, code] of cases) {
    await using pull = new PullFixture();
    const { layers: [first] } = imageIn(pull.registry, layers);
    pull.registry.misbehave = ({ url }) => url.endsWith(first?.digest ?? "?") ? answer : undefined;
    await assert.rejects(() => pull.pull(), refused("untrusted", message, code));
    assert.equal(pull.registry.requests(first?.digest ?? "?").length, 1, "it is not asked again");
    const name = first?.digest.slice(7) ?? "?";
    assert.deepEqual((await pull.files()).filter((file) => file.startsWith(name)), []);
  }
});

Deno.test("an endless blob and a huge or endless manifest end at their bounds", async () => {
  const endless = () =>
    new Response(
      new ReadableStream({ pull: (out) => out.enqueue(new Uint8Array(256 * 1024)) }),
      { headers: { "content-type": "application/vnd.oci.image.manifest.v1+json" } },
    );
  await using pull = new PullFixture();
  pull.registry.misbehave = endless;
  const message = /tag "latest" is larger than 4 MiB/;
  await assert.rejects(() => pull.pull(), refused("exhausted", message, "IMAGE_LIMIT"));
  await using blob = new PullFixture();
  imageIn(blob.registry, layers);
  blob.registry.misbehave = ({ url }) => url.includes("/blobs/") ? endless() : undefined;
  await assert.rejects(() => blob.pull(), refused("untrusted", /has more bytes/));
});

Deno.test("a manifest of another digest than asked for is refused", async () => {
  await using pull = new PullFixture();
  const image = imageIn(pull.registry, layers);
  const other = imageIn(pull.registry, [noise(5, 9)], { tag: "other" });
  pull.registry.manifests.set(image.manifest.digest, {
    type: "application/vnd.oci.image.manifest.v1+json",
    bytes: other.manifest.bytes,
  });
  const origin = pull.origin({ name: `team/app@${image.manifest.digest}` });
  await assert.rejects(
    () => pull.pull(origin),
    refused("untrusted", new RegExp(`${image.manifest.digest} has another digest`)),
  );
  pull.registry.misbehave = () =>
    new Response(image.manifest.bytes, {
      headers: { "docker-content-digest": other.manifest.digest },
    });
  await assert.rejects(() => pull.pull(), refused("untrusted", /the registry says "sha256:/));
});

Deno.test("credentials go to the registry only, not along with a redirect", async () => {
  await using elsewhere = new FakeRegistry();
  await using pull = new PullFixture();
  const { layers: added } = imageIn(pull.registry, layers);
  for (const { bytes } of added) elsewhere.addBlob(bytes);
  pull.registry.misbehave = (request) => {
    if (request.headers.get("authorization") !== basic) {
      return new Response("", { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } });
    }
    if (!request.url.includes("/blobs/")) return undefined;
    const location = `http://${elsewhere.domain}/${request.url.split("/").at(-1)}`;
    return new Response("", { status: 307, headers: { location } });
  };
  elsewhere.misbehave = (request, count) => {
    const blob = elsewhere.blobs.get(request.url.split("/").at(-1) ?? "");
    if (blob === undefined) return undefined;
    // A link that has run out: the registry gives a new one.
    if (count === 1) return new Response("", { status: 403 });
    return blobAnswer(request, blob);
  };
  pull.registry.blobs.forEach((bytes) => elsewhere.addBlob(bytes));
  await pull.pull(pull.origin({ credentials: pull.credentials }));
  assert.ok(elsewhere.seen.length >= 8);
  assert.deepEqual(elsewhere.seen.filter(({ authorization }) => authorization !== null), []);
  // Of all requests but the first the registry got them without asking twice.
  assert.equal(pull.registry.seen.filter(({ authorization }) => authorization === null).length, 1);
});

Deno.test("a challenge of another host is never answered", async () => {
  await using elsewhere = new FakeRegistry();
  await using pull = new PullFixture();
  imageIn(pull.registry, layers);
  elsewhere.misbehave = () =>
    new Response("", { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } });
  pull.registry.misbehave = () => Response.redirect(`http://${elsewhere.domain}/x`, 302);
  await assert.rejects(
    () => pull.pull(pull.origin({ credentials: pull.credentials })),
    refused("unavailable", /answered 401/),
  );
  assert.deepEqual(elsewhere.seen.filter(({ authorization }) => authorization !== null), []);
});

Deno.test("redirects in circles, to plain http elsewhere and to nowhere are refused", async () => {
  for (
    const [location, message] of [
      ["/v2/team/app/manifests/latest", /redirects more than 5 times/],
      ["http://192.0.2.1/x", /redirects to "http:\/\/192\.0\.2\.1", which is not allowed/],
      ["http://ann:pw@127.0.0.1/x", /which is not allowed/],
      ["file:///etc/passwd", /which is not allowed/],
      ["https://[", /redirects nowhere/],
    ] as const
  ) {
    await using pull = new PullFixture();
    pull.registry.misbehave = () => new Response("", { status: 302, headers: { location } });
    await assert.rejects(() => pull.pull(), refused("untrusted", message, "BAD_REDIRECT"));
  }
});

Deno.test("a certificate that is not trusted is told at once", async () => {
  class Distrustful extends RegistryTransport {
    override fetch(): Promise<Response> {
      const cause = new Error("client error (Connect): invalid peer certificate: UnknownIssuer");
      return Promise.reject(new TypeError("fetch failed", { cause }));
    }
  }
  using transport = new Distrustful();
  const reference = parseImageReference("r.example/x");
  const policy = { delaysMs: [60_000], maxRetryAfterMs: 1, maxResumes: 1 };
  const origin = openRegistry({ reference, credentials: null, transport, policy });
  await assert.rejects(
    () => origin.manifest(null, new AbortController().signal),
    refused("untrusted", /no certificate that this host trusts: .*UnknownIssuer/),
  );
});

Deno.test("a registry that is not there is told as such", async () => {
  await using pull = new PullFixture();
  const origin = pull.origin();
  await pull.registry[Symbol.asyncDispose]();
  await assert.rejects(
    () => pull.resolve(origin),
    refused("unavailable", /registry "127\.0\.0\.1/),
  );
});

Deno.test("another registry's credentials are a defect", async () => {
  await using pull = new PullFixture();
  const credentials = { domain: "other.example", ...account };
  assert.throws(() => pull.origin({ credentials }), /the credentials are for "other\.example"/);
});
