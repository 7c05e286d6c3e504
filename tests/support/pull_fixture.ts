import assert from "node:assert/strict";
import type { Digest } from "../../src/model/digest.ts";
import { BangerError, type ErrorKind } from "../../src/model/errors.ts";
import { parseImageReference } from "../../src/model/image_reference.ts";
import type { RegistryCredentials } from "../../src/model/registry_credentials.ts";
import { BlobStore } from "../../src/oci/blob_store.ts";
import { BlobFetcher } from "../../src/oci/fetch_blobs.ts";
import type { ImageOrigin } from "../../src/oci/image_origin.ts";
import { openRegistry } from "../../src/oci/registry.ts";
import { RegistryTransport } from "../../src/oci/registry_transport.ts";
import { type ResolvedImage, resolveImage } from "../../src/oci/resolve_image.ts";
import type { RetryPolicy } from "../../src/oci/retries.ts";
import { FakeRegistry } from "./fake_registry.ts";

/** Without waiting between tries. */
export const hastyPolicy: RetryPolicy = {
  delaysMs: [1, 1, 1],
  maxRetryAfterMs: 3_000,
  maxResumes: 20,
};

/** Of no registry's real account. */
export const account = { kind: "password", username: "ann", password: "s3cr3t-pass" } as const;

/** The whole of a pull, with a store in a temporary directory. */
export class PullFixture implements AsyncDisposable {
  readonly registry = new FakeRegistry();
  readonly transport = new RegistryTransport();
  readonly dir = Deno.makeTempDirSync({ prefix: "banger-oci-test-" });
  readonly store = BlobStore.open(`${this.dir}/blobs`, Deno.uid() ?? 0);
  readonly fetcher = new BlobFetcher(this.store);
  readonly stop = new AbortController();

  /** The image `team/app` as the registry has it. */
  origin(options: {
    name?: string;
    credentials?: RegistryCredentials;
    silenceMs?: number;
    policy?: RetryPolicy;
  } = {}): ImageOrigin {
    return openRegistry({
      reference: parseImageReference(`${this.registry.domain}/${options.name ?? "team/app"}`),
      credentials: options.credentials ?? null,
      transport: this.transport,
      policy: options.policy ?? hastyPolicy,
      silenceMs: options.silenceMs ?? 20_000,
    });
  }

  /** The credentials of {@linkcode account} for the registry. */
  get credentials(): RegistryCredentials {
    return { domain: this.registry.domain, ...account };
  }

  async resolve(origin = this.origin()): Promise<ResolvedImage> {
    return await resolveImage(origin, {
      platform: { architecture: "amd64" },
      signal: this.stop.signal,
      store: this.store,
      policy: hastyPolicy,
    });
  }

  /** Resolves and downloads. */
  async pull(
    origin = this.origin(),
    options: { signal?: AbortSignal; onProgress?: (bytes: number, total: number) => void } = {},
  ): Promise<ResolvedImage> {
    const image = await this.resolve(origin);
    await this.fetcher.fetch(origin, image.layers, {
      signal: this.stop.signal,
      policy: hastyPolicy,
      ...options,
    });
    return image;
  }

  async blob(digest: Digest): Promise<Uint8Array> {
    const chunks = await Array.fromAsync(this.store.read(digest), (chunk) => chunk.slice());
    return new Uint8Array(await new Blob(chunks).arrayBuffer());
  }

  /** Names of all files in the store. */
  async files(): Promise<string[]> {
    const names: string[] = [];
    for (const algorithm of ["sha256", "sha512"]) {
      for await (const { name } of Deno.readDir(`${this.dir}/blobs/${algorithm}`)) names.push(name);
    }
    return names.sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    this.transport[Symbol.dispose]();
    await this.registry[Symbol.asyncDispose]();
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** A check for `assert.rejects`: kind and message, and that no secret is in what can be shown. */
export function refused(kind: ErrorKind, message: RegExp, code?: string) {
  return (error: unknown) => {
    assert.ok(error instanceof BangerError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, message);
    assert.match(error.message, /^Cannot [a-z ]+ ("|blob |credentials )/);
    assert.ok(error.hint !== undefined && error.hint !== "", "it has a hint");
    if (code !== undefined) assert.equal(error.code, code);
    let shown = "";
    for (let at: unknown = error; at instanceof Error; at = at.cause) shown += `${at.stack} ${at}`;
    shown += `${error.hint} ${error.detail}`;
    assert.ok(!shown.includes(account.password), "no password is shown");
    return true;
  };
}
