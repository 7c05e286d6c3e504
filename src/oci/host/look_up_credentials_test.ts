import assert from "node:assert/strict";
import fc from "fast-check";
import { parseDockerConfig } from "./docker_config.ts";
import { type CredentialLookup, lookUpCredentials } from "./look_up_credentials.ts";

const secret = "s3cr3t-of-ann";
const hub = ["https://index.docker.io", "v1/"].join("/");

class Home implements AsyncDisposable {
  readonly dir = Deno.makeTempDirSync({ prefix: "banger-home-test-" });

  async config(content: unknown): Promise<void> {
    await Deno.mkdir(`${this.dir}/.docker`, { recursive: true });
    const text = typeof content === "string" ? content : JSON.stringify(content);
    await Deno.writeTextFile(`${this.dir}/.docker/config.json`, text);
  }

  async helper(name: string, script: string): Promise<void> {
    await Deno.mkdir(`${this.dir}/bin`, { recursive: true });
    const path = `${this.dir}/bin/docker-credential-${name}`;
    await Deno.writeTextFile(path, `#!/bin/sh\n${script}\n`);
    await Deno.chmod(path, 0o755);
  }

  async lookUp(
    domain: string,
    env: Record<string, string> = {},
    timeoutMs = 20_000,
  ): Promise<CredentialLookup> {
    const PATH = `relative:${this.dir}/bin:/usr/bin:/bin`;
    const found = await lookUpCredentials(domain, {
      env: { HOME: this.dir, PATH, ...env },
      signal: new AbortController().signal,
      timeoutMs,
    });
    if (found.problem !== null) {
      const { message, hint, detail, stack, cause } = found.problem;
      assert.ok(
        !`${message}${hint}${detail}${stack}${cause}`.includes(secret),
        "no secret is told",
      );
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dir, { recursive: true });
  }
}

const password = (domain: string, username = "ann") => ({
  credentials: { domain, kind: "password", username, password: secret },
  problem: null,
});
const none = { credentials: null, problem: null };
const auth = btoa(`ann:${secret}`);

Deno.test("what docker login wrote is found, for this registry only", async () => {
  await using home = new Home();
  assert.deepEqual(await home.lookUp("r.example"), none);
  await home.config({
    auths: {
      [hub]: { auth },
      "r.example": { auth },
      "https://old.example/v1/": { username: "ann", password: secret },
      "https://port.example:5000": { auth },
      "token.example": { auth, identitytoken: secret },
      "direct.example": { registrytoken: secret },
      "empty.example": {},
      "null.example": null,
      "damaged.example": { auth: "%%%" },
      "nocolon.example": { auth: btoa("ann") },
    },
  });
  for (const domain of ["docker.io", "r.example", "old.example", "port.example:5000"]) {
    assert.deepEqual(await home.lookUp(domain), password(domain), domain);
  }
  const token = (await home.lookUp("token.example")).credentials;
  assert.deepEqual(token, { domain: "token.example", kind: "identity_token", token: secret });
  const direct = (await home.lookUp("direct.example")).credentials;
  assert.deepEqual(direct, { domain: "direct.example", kind: "registry_token", token: secret });
  for (
    const domain of [
      ...["empty.example", "null.example", "damaged.example", "nocolon.example"],
      ...["example", "r.example:5000", "port.example", "r.example.net", "xr.example"],
    ]
  ) assert.deepEqual(await home.lookUp(domain), none, domain);
});

Deno.test("DOCKER_CONFIG names another directory", async () => {
  await using home = new Home();
  await home.config({ auths: { "r.example": { auth } } });
  assert.deepEqual(await home.lookUp("r.example", { DOCKER_CONFIG: `${home.dir}/x` }), none);
  const env = { HOME: "", DOCKER_CONFIG: `${home.dir}/.docker` };
  assert.deepEqual(await home.lookUp("r.example", env), password("r.example"));
});

Deno.test("helpers are asked, the one for the registry before the one for all", async () => {
  await using home = new Home();
  const answer = (username: string) =>
    `[ "$1" = get ] || exit 9; read server; [ "$server" = "$EXPECTED" ] || exit 8\n` +
    `echo '{"ServerURL":"x","Username":"${username}","Secret":"${secret}"}'`;
  await home.helper("one", answer("one"));
  await home.helper("all", answer("all"));
  await home.helper("token", answer("<token>"));
  await home.helper("none", "echo credentials not found in native keychain; exit 1");
  await home.config({
    credsStore: "all",
    credHelpers: { "r.example": "one", "t.example": "token", "n.example": "none", "e.example": "" },
    auths: { "n.example": { auth }, "r.example": {} },
  });
  const found = (domain: string, server = domain) => home.lookUp(domain, { EXPECTED: server });
  assert.deepEqual(await found("r.example"), password("r.example", "one"));
  assert.deepEqual(await found("other.example"), password("other.example", "all"));
  assert.deepEqual(await found("docker.io", hub), password("docker.io", "all"));
  assert.deepEqual(await found("n.example"), password("n.example"));
  assert.deepEqual(await found("e.example"), none);
  const token = (await found("t.example")).credentials;
  assert.deepEqual(token, { domain: "t.example", kind: "identity_token", token: secret });
});

Deno.test("a hostile or broken helper is a problem, told without what it said", async () => {
  await using home = new Home();
  const cases: [string, string, RegExp][] = [
    ["fails", `echo ${secret}; echo ${secret} >&2; exit 2`, /ended with exit code 2/],
    ["garbage", `echo ${secret}`, /answers in an unknown form/],
    ["array", `echo '["${secret}"]'`, /answers in an unknown form/],
    ["number", `echo '{"Username":1,"Secret":"${secret}"}'`, /answers in an unknown form/],
    ["loud", `yes ${secret}`, /it says too much/],
    ["stuck", "trap '' TERM; while :; do sleep 1; done", /it takes too long/],
    ["fork", "sleep 5 & exit 0", /it takes too long/],
  ];
  for (const [name, script, problem] of cases) {
    await home.helper(name, script);
    await home.config({ credsStore: name });
    const found = await home.lookUp(
      "r.example",
      {},
      /too long/.test(problem.source) ? 500 : 20_000,
    );
    assert.equal(found.credentials, null);
    assert.match(found.problem?.message ?? "", problem, name);
    assert.match(found.problem?.hint ?? "", /credsStore/);
  }
});

Deno.test("a helper's name is a name, and its program is in an absolute directory of PATH", async () => {
  await using home = new Home();
  const canary = `${home.dir}/canary`;
  await home.helper("evil", `touch ${canary}`);
  for (const name of ["../evil", "/bin/sh", "a b", "x;y", "-x", "", "x".repeat(100), "a\nb", "é"]) {
    await home.config({ credHelpers: { "r.example": name } });
    const { credentials, problem } = await home.lookUp("r.example");
    assert.equal(credentials, null);
    if (name !== "") assert.match(problem?.message ?? "", /is no program's name/, name);
  }
  await home.config({ credsStore: "evil" });
  const relative = `${"../".repeat(Deno.cwd().split("/").length)}${home.dir.slice(1)}/bin`;
  const PATH = `bin:.:${relative}:${home.dir}/nowhere`;
  const { problem } = await home.lookUp("r.example", { PATH });
  assert.match(problem?.message ?? "", /"docker-credential-evil": it is not in your PATH/);
  await assert.rejects(() => Deno.lstat(canary));
});

Deno.test("a hostile Docker config is a problem, and quoted nowhere", async () => {
  await using home = new Home();
  for (
    const content of [
      secret,
      `{"auths": "${secret}"}`,
      `{"auths": {"r.example": "${secret}"}}`,
      `{"credsStore": ["${secret}"]}`,
      "[".repeat(10_000),
      "\xff\xfe",
      "null",
    ]
  ) {
    await home.config(content);
    const { credentials, problem } = await home.lookUp("r.example");
    assert.equal(credentials, null);
    assert.match(
      problem?.message ?? "",
      /^Cannot use Docker config ".*config\.json": it is damaged/,
    );
  }
  await home.config(" ".repeat(1024 ** 2 + 1));
  assert.match(
    (await home.lookUp("x.example")).problem?.message ?? "",
    /it has over 1048576 bytes/,
  );
  await Deno.remove(`${home.dir}/.docker/config.json`);
  await Deno.mkdir(`${home.dir}/.docker/config.json`);
  assert.match((await home.lookUp("x.example")).problem?.message ?? "", /no regular file/);
});

Deno.test("names such as __proto__ find nothing", async () => {
  await using home = new Home();
  await home.config('{"auths":{"__proto__":{"auth":"eDp5"}},"credHelpers":{}}');
  for (const domain of ["__proto__", "constructor", "toString"]) {
    assert.equal((await home.lookUp(domain)).problem, null);
  }
  assert.deepEqual(await home.lookUp("constructor"), none);
});

Deno.test("any bytes are a Docker config or none", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => new TextEncoder().encode(text)),
      ),
      (bytes) => {
        parseDockerConfig(bytes);
      },
    ),
  );
});
