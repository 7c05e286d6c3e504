import { type ImageReference, imageReferenceText } from "../model/image_reference.ts";
import type { RegistryCredentials } from "../model/registry_credentials.ts";
import type { Digest } from "../model/digest.ts";
import { BangerError } from "../model/errors.ts";
import { endpointOf, type RegistryEndpoint } from "./endpoint.ts";
import type { BlobStream, Descriptor, ImageOrigin, RawManifest } from "./image_origin.ts";
import { imageLimits } from "./limits.ts";
import { acceptedManifests } from "./media_types.ts";
import { pullError, quoted } from "./oci_error.ts";
import { readBounded } from "./read_bounded.ts";
import { defaultRetryPolicy, Retries, type RetryPolicy } from "./retries.ts";
import { RegistrySession } from "./registry_session.ts";
import type { RegistryTransport } from "./registry_transport.ts";
import { networkReason, TransientError } from "./transient_error.ts";
import { transientStatus } from "./transient_status.ts";
import { wrongSize } from "./stream_blob.ts";
import { Watchdog } from "./watchdog.ts";

/** How an image is got from a registry. */
export interface RegistryOptions {
  readonly reference: ImageReference;
  /** Of the reference's domain; `null` asks without any. */
  readonly credentials: RegistryCredentials | null;
  readonly transport: RegistryTransport;
  readonly policy?: RetryPolicy;
  /** Longest wait for an answer, or for further 16 KiB; 30 s when left out. */
  readonly silenceMs?: number;
}

const defaultSilenceMs = 30_000;
/** Large reads keep the event loop free: a tenth of the turns that single chunks take. */
const readBytes = 1024 ** 2;

/**
 * An image in a registry, by the OCI distribution specification.
 *
 * @throws BangerError `internal` when the credentials are another registry's
 */
export function openRegistry(options: RegistryOptions): ImageOrigin {
  return new Registry(options);
}

class Registry implements ImageOrigin {
  readonly label: string;
  readonly hint: string;
  readonly pinned: Digest | null;
  readonly #reference: ImageReference;
  readonly #endpoint: RegistryEndpoint;
  readonly #session: RegistrySession;
  readonly #policy: RetryPolicy;
  readonly #silenceMs: number;

  constructor(options: RegistryOptions) {
    const { reference, credentials, transport } = options;
    if (credentials !== null && credentials.domain !== reference.domain) {
      throw new BangerError(
        "internal",
        `Cannot pull from "${reference.domain}": the credentials are for "${credentials.domain}"`,
      );
    }
    this.label = imageReferenceText(reference);
    this.hint = credentials === null
      ? `Check the name; if it is private: docker login ${reference.domain}`
      : `Check the name and what your account may read, or: docker login ${reference.domain}`;
    this.pinned = reference.digest;
    this.#reference = reference;
    this.#endpoint = endpointOf(reference.domain);
    this.#policy = options.policy ?? defaultRetryPolicy;
    this.#silenceMs = options.silenceMs ?? defaultSilenceMs;
    this.#session = new RegistrySession({
      transport,
      credentials,
      endpoint: this.#endpoint,
      repository: reference.path,
      silenceMs: this.#silenceMs,
      subject: this,
    });
  }

  async manifest(digest: Digest | null, signal: AbortSignal): Promise<RawManifest> {
    const retries = new Retries(this.label, this.#policy);
    for (;;) {
      try {
        return await this.#manifestOnce(digest ?? this.pinned, signal);
      } catch (error) {
        await retries.wait(error, signal);
      }
    }
  }

  async #manifestOnce(digest: Digest | null, signal: AbortSignal): Promise<RawManifest> {
    using watchdog = new Watchdog(this.#silenceMs, signal);
    const name = digest ?? this.#reference.tag ?? "latest";
    const what = digest === null ? `tag ${quoted(name)}` : `manifest ${name}`;
    const path = `manifests/${name}`;
    const response = await this.#get(path, { accept: acceptedManifests }, what, watchdog, signal);
    const bytes = await readBounded(response, imageLimits.manifestBytes, watchdog, signal);
    if (bytes === undefined) {
      const limit = `${imageLimits.manifestBytes / 1024 ** 2} MiB`;
      throw pullError(this, "exhausted", `${what} is larger than ${limit}`, {
        code: "IMAGE_LIMIT",
      });
    }
    return {
      bytes,
      mediaType: response.headers.get("content-type"),
      said: response.headers.get("docker-content-digest"),
    };
  }

  async blob(descriptor: Descriptor, offset: number, signal: AbortSignal): Promise<BlobStream> {
    const watchdog = new Watchdog(this.#silenceMs, signal);
    try {
      const range: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
      const what = `blob ${descriptor.digest}`;
      const path = `blobs/${descriptor.digest}`;
      const response = await this.#get(path, range, what, watchdog, signal);
      const start = await this.#startOf(response, descriptor, offset);
      return { offset: start, chunks: this.#chunks(response, descriptor, watchdog, signal) };
    } catch (error) {
      watchdog[Symbol.dispose]();
      throw error;
    }
  }

  /** Where the content of an answer starts; checks what it says about its length. */
  async #startOf(response: Response, descriptor: Descriptor, wanted: number): Promise<number> {
    const length = response.headers.get("content-length");
    const encoded = response.headers.has("content-encoding");
    let start = 0;
    let total = length !== null && /^[0-9]{1,15}$/.test(length) ? Number(length) : undefined;
    if (response.status === 206) {
      const range = /^bytes ([0-9]{1,15})-[0-9]{1,15}\/([0-9]{1,15}|\*)$/.exec(
        response.headers.get("content-range") ?? "",
      );
      start = Number(range?.[1] ?? -1);
      total = range === null || range[2] === "*" ? undefined : Number(range[2]);
      if (start !== wanted) {
        await response.body?.cancel();
        throw new TransientError(
          `the registry answered with another range of ${descriptor.digest}`,
        );
      }
    }
    if (total !== undefined && total !== descriptor.size && !encoded) {
      await response.body?.cancel();
      throw wrongSize(this, descriptor, String(total));
    }
    return start;
  }

  async *#chunks(
    response: Response,
    { digest }: Descriptor,
    watchdog: Watchdog,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    using _ = watchdog;
    const reader = response.body?.getReader({ mode: "byob" });
    if (reader === undefined) return;
    let buffer = new Uint8Array(readBytes);
    try {
      for (;;) {
        const { done, value } = await reader.read(buffer);
        if (done || value === undefined) return;
        watchdog.saw(value.length);
        // How long the reader of this takes is not the registry's fault.
        watchdog.pause();
        yield value;
        watchdog.resume();
        buffer = new Uint8Array(value.buffer);
      }
    } catch (error) {
      signal.throwIfAborted();
      const seconds = Math.round(this.#silenceMs / 1000);
      const why = watchdog.barked ? `nothing came for ${seconds} s` : networkReason(error);
      throw new TransientError(`the transfer of ${digest} broke off: ${why}`, { cause: error });
    } finally {
      await reader.cancel().catch(() => {});
    }
  }

  async #get(
    path: string,
    headers: Readonly<Record<string, string>>,
    what: string,
    watchdog: Watchdog,
    signal: AbortSignal,
  ): Promise<Response> {
    const response = await this.#session.get(path, headers, watchdog, signal);
    if (response.status === 200 || (response.status === 206 && "range" in headers)) return response;
    await response.body?.cancel();
    throw this.#refusal(response, what);
  }

  #refusal(response: Response, what: string): Error {
    const { status } = response;
    const foreign = response.url !== "" && new URL(response.url).origin !== this.#endpoint.origin;
    const who = `registry ${quoted(this.#endpoint.host)}`;
    const transient = transientStatus(response, `${who}, asked for ${what},`);
    if (transient !== undefined) return transient;
    // Links that registries redirect to run out; the next try gets a new one. A range that is beyond
    // the end is asked for when the origin has less than it said: the digest will tell.
    if ((foreign && (status === 401 || status === 403)) || status === 416) {
      return new TransientError(`${who}, asked for ${what}, answered ${status}`);
    }
    if (status === 401 || status === 403) {
      return pullError(this, "precondition", `${who} does not let it read ${what} (${status})`, {
        code: "REGISTRY_DENIED",
      });
    }
    if (status === 404 || status === 410) {
      return pullError(this, "not_found", `${who} has no ${what}`, { code: "NOT_IN_REGISTRY" });
    }
    return pullError(this, "unavailable", `${who}, asked for ${what}, answered ${status}`);
  }
}
