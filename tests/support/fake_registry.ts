import { createHash } from "node:crypto";

/** The parts of an image as a registry has them. */
export interface FakeBlob {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly digest: `sha256:${string}`;
}

/** Answers a request itself; `undefined` leaves it to the registry. */
export type Misbehaviour = (
  request: Request,
  count: number,
) => Response | undefined | Promise<Response | undefined>;

/** A request as it was seen. */
export interface SeenRequest {
  readonly path: string;
  readonly authorization: string | null;
  readonly range: string | null;
}

const manifestType = "application/vnd.oci.image.manifest.v1+json";

/** An in-process registry on loopback with one image, which misbehaves as a test wants it to. */
export class FakeRegistry implements AsyncDisposable {
  readonly blobs = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly manifests = new Map<string, { type: string; bytes: Uint8Array<ArrayBuffer> }>();
  readonly seen: SeenRequest[] = [];
  /** Looked at before everything else. */
  misbehave: Misbehaviour = () => undefined;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #ends: (() => void)[] = [];

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {}, onError: () => new Response(null) },
      (request) => this.#answer(request),
    );
  }

  /** `127.0.0.1:PORT`. */
  get domain(): string {
    return `127.0.0.1:${this.#server.addr.port}`;
  }

  /** Requests whose path contains `part`. */
  requests(part: string): SeenRequest[] {
    return this.seen.filter(({ path }) => path.includes(part));
  }

  addBlob(bytes: Uint8Array<ArrayBuffer>): FakeBlob {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { bytes, digest };
  }

  /** Adds a manifest under its digest, and under `tag` when one is given. */
  addManifest(content: unknown, tag?: string, type = manifestType): FakeBlob {
    const bytes = new TextEncoder().encode(
      typeof content === "string" ? content : JSON.stringify(content),
    );
    const digest = digestOf(bytes);
    this.manifests.set(digest, { type, bytes });
    if (tag !== undefined) this.manifests.set(tag, { type, bytes });
    return { bytes, digest };
  }

  /** A body that gives `bytes` and then nothing more until the registry ends. */
  stalling(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream({
      start: (out) => {
        if (bytes.length > 0) out.enqueue(bytes);
        this.#ends.push(() => {
          try {
            out.close();
          } catch {
            // The client has gone.
          }
        });
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends) end();
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    this.seen.push({
      path: pathname + search,
      authorization: request.headers.get("authorization"),
      range: request.headers.get("range"),
    });
    const count = this.seen.filter(({ path }) => path === pathname + search).length;
    const own = await this.misbehave(request, count);
    if (own !== undefined) return own;
    const name = pathname.slice(pathname.lastIndexOf("/") + 1);
    if (pathname.includes("/manifests/")) {
      const found = this.manifests.get(name);
      return found === undefined
        ? new Response("{}", { status: 404 })
        : new Response(found.bytes, { headers: { "content-type": found.type } });
    }
    const blob = this.blobs.get(name);
    return blob === undefined ? new Response("{}", { status: 404 }) : blobAnswer(request, blob);
  }
}

/** A blob, or the part of it that is asked for. */
export function blobAnswer(request: Request, blob: Uint8Array<ArrayBuffer>): Response {
  const from = /^bytes=([0-9]+)-$/.exec(request.headers.get("range") ?? "")?.[1];
  if (from === undefined) return new Response(blob);
  const range = `bytes ${from}-${blob.length - 1}/${blob.length}`;
  return new Response(blob.slice(Number(from)), {
    status: 206,
    headers: { "content-range": range },
  });
}

/** What `imageIn` put into a registry. */
export interface FakeImage {
  readonly manifest: FakeBlob;
  readonly config: FakeBlob;
  readonly layers: readonly FakeBlob[];
}

/** Puts an image with these layers into `registry`; its content means nothing. */
export function imageIn(
  registry: FakeRegistry,
  layers: readonly Uint8Array<ArrayBuffer>[],
  options: { tag?: string; architecture?: string; config?: Record<string, unknown> } = {},
): FakeImage {
  const added = layers.map((layer) => registry.addBlob(layer));
  const config = registry.addBlob(
    new TextEncoder().encode(JSON.stringify({
      architecture: options.architecture ?? "amd64",
      os: "linux",
      config: { Env: ["PATH=/bin"], Cmd: ["sh"] },
      rootfs: { type: "layers", diff_ids: added.map(({ digest }) => digest) },
      ...options.config,
    })),
  );
  const manifest = registry.addManifest(
    {
      schemaVersion: 2,
      mediaType: manifestType,
      config: described("application/vnd.oci.image.config.v1+json", config),
      layers: added.map((layer) => described("application/vnd.oci.image.layer.v1.tar", layer)),
    },
    options.tag ?? "latest",
  );
  return { manifest, config, layers: added };
}

/** The descriptor of a blob. */
export function described(mediaType: string, { digest, bytes }: FakeBlob) {
  return { mediaType, digest, size: bytes.length };
}

/** Bytes that look like nothing, the same for the same seed. */
export function noise(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed * 2654435761 + 1;
  for (let at = 0; at < length; at++) {
    state = Math.imul(state ^ (state >>> 15), 2246822519) + 1 | 0;
    bytes[at] = state >>> 8;
  }
  return bytes;
}

function digestOf(bytes: Uint8Array): `sha256:${string}` {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
