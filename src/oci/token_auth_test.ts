import assert from "node:assert/strict";
import { FakeRegistry, imageIn, noise } from "../../tests/support/fake_registry.ts";
import { account, PullFixture, refused } from "../../tests/support/pull_fixture.ts";
import { parseImageReference } from "../model/image_reference.ts";
import { openRegistry } from "./registry.ts";
import { RegistryTransport } from "./registry_transport.ts";

const basic = `Basic ${btoa(`${account.username}:${account.password}`)}`;
const layers = [noise(1000, 1), noise(2000, 2), noise(3000, 3), noise(4000, 4)];

/** Makes the registry ask for tokens from `realm`, and take those in `good`. */
function guard(registry: FakeRegistry, realm: string, good: Set<string>, token: () => Response) {
  const challenge = `Bearer realm="${realm}",service="the service",scope="registry:catalog:*"`;
  registry.misbehave = (request) => {
    if (request.url.includes("/token")) return token();
    if (good.has(request.headers.get("authorization") ?? "")) return undefined;
    return new Response("{}", { status: 401, headers: { "www-authenticate": challenge } });
  };
}

Deno.test("a token is asked for once, for pulling this repository only, and used for all", async () => {
  await using pull = new PullFixture();
  imageIn(pull.registry, layers);
  const realm = `http://${pull.registry.domain}/token?x=1`;
  guard(pull.registry, realm, new Set(["Bearer t1"]), () => Response.json({ token: "t1" }));
  await pull.pull();
  const [asked, ...more] = pull.registry.requests("/token");
  assert.equal(more.length, 0);
  assert.equal(asked?.authorization, null);
  const query = new URL(asked?.path ?? "", "http://x").searchParams;
  assert.deepEqual([...query], [
    ["x", "1"],
    ["service", "the service"],
    ["scope", "repository:team/app:pull"],
  ]);
});

Deno.test("user name and password go to the token server, the token to the registry", async () => {
  await using pull = new PullFixture();
  imageIn(pull.registry, layers);
  const realm = `http://${pull.registry.domain}/token`;
  guard(pull.registry, realm, new Set(["Bearer t1"]), () => Response.json({ access_token: "t1" }));
  await pull.pull(pull.origin({ credentials: pull.credentials }));
  assert.equal(pull.registry.requests("/token")[0]?.authorization, basic);
  const toRegistry = pull.registry.requests("/v2/").map(({ authorization }) => authorization);
  assert.deepEqual([...new Set(toRegistry)], [null, "Bearer t1"]);
});

Deno.test("an identity token is exchanged by POST, and not followed anywhere", async () => {
  await using pull = new PullFixture();
  imageIn(pull.registry, layers);
  const bodies: string[] = [];
  const realm = `http://${pull.registry.domain}/token`;
  guard(pull.registry, realm, new Set(["Bearer t1"]), () => Response.json({ access_token: "t1" }));
  const usual = pull.registry.misbehave;
  pull.registry.misbehave = async (request, count) => {
    if (request.method === "POST") bodies.push(await request.text());
    return await usual(request, count);
  };
  const { domain } = pull.registry;
  const credentials = { domain, kind: "identity_token", token: account.password } as const;
  await pull.pull(pull.origin({ credentials }));
  assert.equal(
    bodies[0],
    `grant_type=refresh_token&refresh_token=${account.password}&client_id=banger` +
      "&scope=repository%3Ateam%2Fapp%3Apull&service=the+service",
  );
  await using other = new PullFixture();
  guard(
    other.registry,
    `http://${other.registry.domain}/token`,
    new Set(),
    () => new Response("", { status: 307, headers: { location: "/token2" } }),
  );
  const again = { ...credentials, domain: other.registry.domain };
  const refusal = refused("precondition", /answered 307 to the credentials given/);
  await assert.rejects(() => other.pull(other.origin({ credentials: again })), refusal);
  assert.equal(other.registry.requests("/token2").length, 0);
});

Deno.test("a token that runs out is replaced once for all transfers under way", async () => {
  await using pull = new PullFixture();
  imageIn(pull.registry, layers);
  const good = new Set(["Bearer t1"]);
  let issued = 0;
  const realm = `http://${pull.registry.domain}/token`;
  guard(pull.registry, realm, good, () => {
    good.clear();
    good.add(`Bearer t${++issued}`);
    return Response.json({ token: `t${issued}` });
  });
  const origin = pull.origin();
  await pull.resolve(origin);
  assert.equal(issued, 1);
  good.clear();
  const image = await pull.pull(origin);
  assert.equal(issued, 2);
  // A refusal of the old token that comes when there is a new one already replaces nothing.
  good.clear();
  const late = Promise.withResolvers<void>();
  const usual = pull.registry.misbehave;
  const three = Promise.withResolvers<void>();
  let refusals = 0;
  pull.registry.misbehave = async (request, count) => {
    const answer = await usual(request, count);
    if (request.url.includes("/token")) setTimeout(late.resolve, 50);
    if (answer?.status !== 401) return answer;
    if (++refusals === 3) three.resolve();
    await (refusals === 3 ? late.promise : three.promise);
    return answer;
  };
  for (const { digest } of image.layers) await Deno.remove(pull.store.path(digest));
  await pull.fetcher.fetch(origin, image.layers, { signal: pull.stop.signal });
  assert.equal(refusals, 3);
  assert.equal(issued, 3);
});

Deno.test("a registry that is never content is not asked for ever", async () => {
  for (const credentials of [false, true]) {
    await using pull = new PullFixture();
    const realm = `http://${pull.registry.domain}/token`;
    guard(pull.registry, realm, new Set(), () => Response.json({ token: "t" }));
    const origin = pull.origin(credentials ? { credentials: pull.credentials } : {});
    await assert.rejects(() => pull.pull(origin), refused("precondition", /\(401\)/));
    assert.equal(pull.registry.requests("/v2/").length, 3);
  }
  await using pull = new PullFixture();
  pull.registry.misbehave = () =>
    new Response("", { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } });
  const origin = pull.origin({ credentials: pull.credentials });
  await assert.rejects(
    () => pull.pull(origin),
    refused("precondition", /does not let these credentials read it \(401\)/),
  );
  assert.equal(pull.registry.seen.length, 2);
});

Deno.test("a token server elsewhere never gets the credentials", async () => {
  await using elsewhere = new FakeRegistry();
  await using pull = new PullFixture();
  imageIn(pull.registry, layers);
  const realm = `http://${elsewhere.domain}/token`;
  guard(pull.registry, realm, new Set(["Bearer anonymous"]), () => new Response(""));
  elsewhere.misbehave = () => Response.json({ token: "anonymous" });
  for (
    const secret of [
      pull.credentials,
      { domain: pull.registry.domain, kind: "identity_token", token: account.password } as const,
    ]
  ) await pull.pull(pull.origin({ credentials: secret }));
  assert.ok(elsewhere.seen.length >= 2);
  for (const { path, authorization } of elsewhere.seen) {
    assert.equal(authorization, null);
    assert.ok(!path.includes(account.username) && !path.includes(account.password));
  }
  elsewhere.misbehave = () => new Response("", { status: 401 });
  await assert.rejects(
    () => pull.pull(pull.origin({ credentials: pull.credentials })),
    refused("precondition", /the credentials of "127\.0\.0\.1:\d+" are not sent there/),
  );
});

Deno.test("a realm that is neither https nor on this computer is refused", async () => {
  for (const realm of ["http://auth.example.com/", "ftp://127.0.0.1/", "", "//x", "file:///x"]) {
    await using pull = new PullFixture();
    guard(pull.registry, realm, new Set(), () => new Response(""));
    await assert.rejects(
      () => pull.pull(pull.origin({ credentials: pull.credentials })),
      refused("untrusted", /as its token server, which is neither https/, "BAD_REALM"),
    );
  }
});

Deno.test("what a token server answers must be a token", async () => {
  for (
    const answer of [
      () => new Response("<html>"),
      () => Response.json({}),
      () => Response.json({ token: 5 }),
      () => Response.json({ token: "a\r\nx-injected: 1" }),
      () => Response.json({ token: "x".repeat(70_000) }),
      () => new Response(noise(300 * 1024, 1)),
    ]
  ) {
    await using pull = new PullFixture();
    guard(pull.registry, `http://${pull.registry.domain}/token`, new Set(), answer);
    await assert.rejects(() => pull.pull(), refused("untrusted", /did not answer with a token/));
  }
  await using pull = new PullFixture();
  const down = () => new Response("", { status: 503 });
  guard(pull.registry, `http://${pull.registry.domain}/token`, new Set(), down);
  await assert.rejects(() => pull.pull(), refused("unavailable", /token server .* answered 503/));
  assert.equal(pull.registry.requests("/token").length, 4);
});

Deno.test("a registry token goes to the registry as it is", async () => {
  await using pull = new PullFixture();
  imageIn(pull.registry, layers);
  guard(pull.registry, "https://x.example/", new Set(["Bearer direct"]), () => new Response(""));
  const { domain } = pull.registry;
  await pull.pull(
    pull.origin({ credentials: { domain, kind: "registry_token", token: "direct" } }),
  );
  const bad = { domain, kind: "registry_token", token: `${account.password}\n` } as const;
  await assert.rejects(
    () => pull.pull(pull.origin({ credentials: bad })),
    refused("precondition", /the token in the Docker config is damaged/),
  );
});

Deno.test("the default registry's API and token server have hosts of their own", async () => {
  const seen: [string, string | null][] = [];
  class Recorder extends RegistryTransport {
    override fetch(url: URL, init: RequestInit): Promise<Response> {
      const authorization = new Headers(init.headers).get("authorization");
      seen.push([`${url.origin}${url.pathname}`, authorization]);
      if (url.pathname === "/token") return Promise.resolve(Response.json({ token: "t1" }));
      const realm = `https://${["auth", "docker.io"].join(".")}/token`;
      const headers = { "www-authenticate": `Bearer realm="${realm}",service="s"` };
      return Promise.resolve(
        authorization === null
          ? new Response("", { status: 401, headers })
          : new Response("", { status: 404 }),
      );
    }
  }
  using transport = new Recorder();
  const origin = openRegistry({
    reference: parseImageReference("alpine"),
    credentials: { domain: "docker.io", ...account },
    transport,
  });
  const { signal } = new AbortController();
  const message =
    /^Cannot pull "docker\.io\/library\/alpine:latest": registry .* has no tag "latest"/;
  await assert.rejects(() => origin.manifest(null, signal), refused("not_found", message));
  const api = `https://${["registry-1", "docker.io"].join(".")}/v2/library/alpine/manifests/latest`;
  assert.deepEqual(seen, [
    [api, null],
    [`https://${["auth", "docker.io"].join(".")}/token`, basic],
    [api, "Bearer t1"],
  ]);
});
