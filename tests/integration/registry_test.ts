import assert from "node:assert/strict";
import { createPrivateKey, createSign } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { parseImageReference } from "../../src/model/image_reference.ts";
import type { RegistryCredentials } from "../../src/model/registry_credentials.ts";
import { BlobStore } from "../../src/oci/blob_store.ts";
import { openDockerArchive } from "../../src/oci/docker_archive.ts";
import { BlobFetcher } from "../../src/oci/fetch_blobs.ts";
import { archiveFile, layoutDirectory } from "../../src/oci/host/host_files.ts";
import { lookUpCredentials } from "../../src/oci/host/look_up_credentials.ts";
import type { ImageOrigin } from "../../src/oci/image_origin.ts";
import { openOciLayout } from "../../src/oci/oci_layout.ts";
import { openRegistry } from "../../src/oci/registry.ts";
import { RegistryTransport } from "../../src/oci/registry_transport.ts";
import { digestOf, type ResolvedImage, resolveImage } from "../../src/oci/resolve_image.ts";
import { findProgram } from "../../src/process/find_program.ts";
import { plainEnv, run } from "../../src/process/run.ts";
import { noise } from "../support/fake_registry.ts";
import { layoutOf, writeLayout } from "../support/layout_fixture.ts";
import { account, refused } from "../support/pull_fixture.ts";
import { skipUnless } from "../support/require.ts";
import { tarOf } from "../support/tar_fixture.ts";
import { DockerRegistry, registryProgram } from "./docker_registry.ts";

const program = await registryProgram();
const missing = program === undefined ? ["docker-registry"] : [];
for (const name of ["skopeo", "openssl"]) {
  if (await findProgram(name) === undefined) missing.push(name);
}
const { signal } = new AbortController();
const platform = { architecture: "amd64" } as const;
/** bcrypt of the password of `account`. */
const htpasswd =
  `${account.username}:$2b$05$abcdefghijklmnopqrstuul9Lwd4lwSN2dSsfW0Na38Zav2NkC3wS\n`;
const layers = [
  tarOf([{ name: "etc/", type: "5" }, { name: "etc/one", content: noise(3_000_000, 1) }]),
  tarOf([{ name: "etc/two", content: "two" }]),
];

function registryTest(name: string, fn: (host: Host) => Promise<void>): void {
  const ignore = skipUnless(name, missing.length === 0, `${missing.join(", ")} not installed`);
  Deno.test({
    name,
    ignore,
    fn: async () => {
      await using host = new Host();
      await fn(host);
    },
  });
}

/** A directory with a layout `layout`, tag `1`, and everything that a pull needs. */
class Host implements AsyncDisposable {
  readonly dir = Deno.makeTempDirSync({ prefix: "banger-registry-test-" });
  readonly transport = new RegistryTransport();
  readonly store = BlobStore.open(`${this.dir}/blobs`, Deno.uid() ?? 0);

  async skopeo(...args: string[]): Promise<void> {
    await run("skopeo", ["--insecure-policy", ...args], {
      env: { ...plainEnv, HOME: this.dir, XDG_RUNTIME_DIR: this.dir },
      timeoutMs: 60_000,
    });
  }

  /** Pushes the layout's image; further options of `skopeo copy`. */
  async push(domain: string, name: string, ...options: string[]): Promise<void> {
    await writeLayout(`${this.dir}/layout`, layoutOf({ "1": layers }));
    const target = `docker://${domain}/${name}`;
    const from = `oci:${this.dir}/layout:1`;
    await this.skopeo("copy", "--dest-tls-verify=false", ...options, from, target);
  }

  origin(name: string, credentials: RegistryCredentials | null = null): ImageOrigin {
    const reference = parseImageReference(name);
    return openRegistry({ reference, credentials, transport: this.transport });
  }

  async pull(origin: ImageOrigin): Promise<ResolvedImage> {
    using hold = this.store.hold();
    const image = await resolveImage(origin, { platform, signal, store: this.store, hold });
    await new BlobFetcher(this.store).fetch(origin, image.layers, { signal });
    await this.check(image);
    return image;
  }

  /** The layers in the store are those that were pushed. */
  async check(image: ResolvedImage): Promise<void> {
    assert.deepEqual(image.config.diffIds, layers.map((layer) => digestOf(layer, "sha256")));
    for (const [at, { digest, compression }] of image.layers.entries()) {
      const bytes = await Deno.readFile(this.store.path(digest));
      assert.equal(digestOf(bytes, "sha256"), digest);
      assert.deepEqual(
        new Uint8Array(compression === "gzip" ? gunzipSync(bytes) : bytes),
        layers[at],
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.transport[Symbol.dispose]();
    await Deno.remove(this.dir, { recursive: true });
  }
}

registryTest("an image that skopeo pushed is pulled, OCI and Docker's schema 2", async (host) => {
  await using registry = await DockerRegistry.start(host.dir);
  for (const format of ["oci", "v2s2"]) {
    const name = `team/${format}:1`;
    await host.push(registry.domain, name, "--format", format);
    const image = await host.pull(host.origin(`${registry.domain}/${name}`));
    assert.deepEqual(image.layers.map(({ compression }) => compression), ["gzip", "gzip"]);
    const byDigest = `${registry.domain}/team/${format}@${image.digest}`;
    assert.equal((await host.pull(host.origin(byDigest))).digest, image.digest);
    const localhost = host.origin(`localhost:${registry.domain.split(":")[1]}/${name}`);
    assert.equal((await host.pull(localhost)).digest, image.digest);
  }
  const message = /has no tag "2"/;
  await assert.rejects(
    () => host.pull(host.origin(`${registry.domain}/team/oci:2`)),
    refused("not_found", message),
  );
});

registryTest("a real registry goes on where a download broke off", async (host) => {
  await using registry = await DockerRegistry.start(host.dir);
  await host.push(registry.domain, "app:1");
  const origin = host.origin(`${registry.domain}/app:1`);
  const image = await resolveImage(origin, { platform, signal });
  const [first] = image.layers;
  assert.ok(first !== undefined);
  const { offset, chunks } = await origin.blob(first, 1_000_000, signal);
  assert.equal(offset, 1_000_000);
  let rest = 0;
  for await (const chunk of chunks) rest += chunk.length;
  assert.equal(rest, first.size - 1_000_000);
  await host.pull(origin);
  const whole = await Deno.readFile(host.store.path(first.digest));
  await Deno.remove(host.store.path(first.digest));
  await Deno.writeFile(host.store.partPath(first.digest), whole.slice(0, 1_000_000));
  await host.pull(origin);
});

registryTest("what skopeo writes as layouts and archives is the same image", async (host) => {
  await writeLayout(`${host.dir}/layout`, layoutOf({ "1": layers }));
  const from = `oci:${host.dir}/layout:1`;
  await host.skopeo("copy", from, `docker-archive:${host.dir}/d.tar:team/app:1`);
  await host.skopeo("copy", from, `oci-archive:${host.dir}/o.tar:1`);
  await host.skopeo("copy", from, `oci:${host.dir}/copy:1`);
  const layout = openOciLayout(layoutDirectory(`${host.dir}/copy`), {
    label: "oci:copy",
    tags: ["1"],
  });
  const image = await host.pull(layout);
  for (
    const [file, name] of [["d.tar", "team/app:1"], ["o.tar", "x:1"], ["d.tar", null]] as const
  ) {
    const archive = await openDockerArchive(archiveFile(`${host.dir}/${file}`), {
      label: `docker-archive:${file}`,
      reference: name === null ? null : parseImageReference(name),
      signal,
    });
    const same = await host.pull(archive);
    assert.deepEqual(same.config.diffIds, image.config.diffIds);
    assert.deepEqual(same.config.cmd, image.config.cmd);
  }
});

registryTest("Basic authentication: none, wrong and right credentials", async (host) => {
  await Deno.writeTextFile(`${host.dir}/htpasswd`, htpasswd);
  const auth = { kind: "htpasswd", file: `${host.dir}/htpasswd` } as const;
  await using registry = await DockerRegistry.start(host.dir, auth);
  const { domain } = registry;
  const pair = `${account.username}:${account.password}`;
  await host.push(domain, "app:1", "--dest-creds", pair);
  const name = `${domain}/app:1`;
  await assert.rejects(
    () => host.pull(host.origin(name)),
    refused("precondition", /wants a user name and a password \(401\)/, "REGISTRY_DENIED"),
  );
  const wrong = { domain, kind: "password", username: "ann", password: "wrong" } as const;
  await assert.rejects(
    () => host.pull(host.origin(name, wrong)),
    refused("precondition", /does not let these credentials read it/),
  );
  const config = `${host.dir}/docker/config.json`;
  await Deno.mkdir(`${host.dir}/docker`);
  await host.skopeo(
    ...["login", "--tls-verify=false", "--authfile", config],
    ...["--username", account.username, "--password", account.password, domain],
  );
  const env = { DOCKER_CONFIG: `${host.dir}/docker`, PATH: plainEnv["PATH"] ?? "" };
  const { credentials, problem } = await lookUpCredentials(domain, { env, signal });
  assert.equal(problem, null);
  await host.pull(host.origin(name, credentials));
});

registryTest("tokens: a real registry takes those that its token server signs", async (host) => {
  {
    await using open = await DockerRegistry.start(host.dir);
    await host.push(open.domain, "team/app:1");
  }
  const issuer = await TokenIssuer.make(host.dir);
  let behind = "";
  const asked: URL[] = [];
  // Registry and token server at one address, as many have it: else credentials are not sent.
  const front = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const url = new URL(request.url);
      if (url.pathname !== "/token") {
        return await fetch(`http://${behind}${url.pathname}`, { headers: request.headers });
      }
      asked.push(url);
      const expected = `Basic ${btoa(`${account.username}:${account.password}`)}`;
      if (request.headers.get("authorization") !== expected) {
        return new Response("", { status: 401 });
      }
      return Response.json({ token: issuer.sign(url.searchParams.get("scope") ?? "") });
    },
  );
  try {
    const domain = `127.0.0.1:${front.addr.port}`;
    await using registry = await DockerRegistry.start(host.dir, {
      kind: "token",
      realm: `http://${domain}/token`,
      service: issuer.service,
      issuer: issuer.name,
      certificates: issuer.certificate,
    });
    behind = registry.domain;
    await host.pull(host.origin(`${domain}/team/app:1`, { domain, ...account }));
    assert.equal(asked.length, 1);
    assert.equal(asked[0]?.searchParams.get("scope"), "repository:team/app:pull");
    await assert.rejects(
      () => host.pull(host.origin(`${domain}/team/app:1`)),
      refused("precondition", /token server .* answered 401 to a request without credentials/),
    );
  } finally {
    await front.shutdown();
  }
});

registryTest("a multi-architecture index is pushed and pulled", async (host) => {
  await using registry = await DockerRegistry.start(host.dir);
  await host.push(registry.domain, "multi:1");
  const image = await host.pull(host.origin(`${registry.domain}/multi:1`));
  const type = "application/vnd.oci.image.index.v1+json";
  const manifest = await Deno.readFile(host.store.path(image.digest));
  const { mediaType } = JSON.parse(new TextDecoder().decode(manifest));
  const index = {
    schemaVersion: 2,
    mediaType: type,
    manifests: [{
      mediaType: mediaType ?? "application/vnd.oci.image.manifest.v1+json",
      digest: image.digest,
      size: manifest.length,
      platform: { os: "linux", architecture: "amd64" },
    }],
  };
  const put = await fetch(`http://${registry.domain}/v2/multi/manifests/all`, {
    method: "PUT",
    headers: { "content-type": type },
    body: JSON.stringify(index),
  });
  await put.body?.cancel();
  assert.equal(put.status, 201);
  const chosen = await host.pull(host.origin(`${registry.domain}/multi:all`));
  assert.equal(chosen.digest, image.digest);
  assert.notEqual(chosen.rootDigest, image.digest);
});

registryTest("a thread with few rights pulls, from this computer past any proxy", async (host) => {
  await using registry = await DockerRegistry.start(host.dir);
  await host.push(registry.domain, "app:1");
  let proxied = 0;
  const proxy = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    proxied++;
    return new Response("", { status: 502 });
  });
  try {
    const main = new URL("../support/oci_pull_main.ts", import.meta.url).pathname;
    const url = `http://127.0.0.1:${proxy.addr.port}`;
    const { stdout } = await run(Deno.execPath(), [
      ...["run", "--allow-all", "--no-check", "--unstable-worker-options", main],
      ...[`${registry.domain}/app:1`, host.dir],
    ], {
      env: { ...Deno.env.toObject(), http_proxy: url, HTTP_PROXY: url, HTTPS_PROXY: url },
      timeoutMs: 60_000,
    });
    const answer = JSON.parse(new TextDecoder().decode(stdout));
    assert.match(answer.digest ?? answer.error, /^sha256:/);
    assert.equal(proxied, 0);
  } finally {
    await proxy.shutdown();
  }
});

/** Signs tokens as distribution's specification wants them. */
class TokenIssuer {
  readonly name = "the issuer";
  readonly service = "the service";
  readonly certificate: string;
  readonly #key: string;
  readonly #chain: string[];

  private constructor(certificate: string, key: string, chain: string[]) {
    this.certificate = certificate;
    this.#key = key;
    this.#chain = chain;
  }

  static async make(dir: string): Promise<TokenIssuer> {
    const [key, certificate] = [`${dir}/key.pem`, `${dir}/cert.pem`];
    await run("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-subj", "/CN=issuer", "-days", "2", "-keyout", key, "-out", certificate],
    ], { timeoutMs: 30_000 });
    const pem = await Deno.readTextFile(certificate);
    const der = pem.replaceAll(/-----[^-]+-----|\s/g, "");
    return new TokenIssuer(certificate, await Deno.readTextFile(key), [der]);
  }

  sign(scope: string): string {
    const [type, name, actions = ""] = scope.split(":");
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      ...{ iss: this.name, sub: account.username, aud: this.service, jti: crypto.randomUUID() },
      ...{ exp: now + 300, nbf: now - 10, iat: now },
      access: [{ type, name, actions: actions.split(",") }],
    };
    const encoded = (value: unknown) =>
      new TextEncoder().encode(JSON.stringify(value))
        .toBase64({ alphabet: "base64url", omitPadding: true });
    const text = `${encoded({ typ: "JWT", alg: "ES256", x5c: this.#chain })}.${encoded(claims)}`;
    const signature = createSign("sha256").update(text).sign({
      key: createPrivateKey(this.#key),
      dsaEncoding: "ieee-p1363",
    });
    return `${text}.${signature.toString("base64url")}`;
  }
}
