import { connectUnix } from "../../src/transport/unix_client.ts";
import type { ByteLink } from "../../src/transport/byte_link.ts";

const lineFeed = 10;

/** A client that sends a line and takes one back, without looking into it: the floor of clients. */
export class RawClient implements Disposable {
  readonly #link: ByteLink;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  #nextId = 1;

  private constructor(link: ByteLink, longestBytes: number) {
    this.#link = link;
    this.#buffer = new Uint8Array(longestBytes);
  }

  /** An answer may have up to `longestBytes`. */
  static async connect(path: string, longestBytes = 1024 * 1024): Promise<RawClient> {
    return new RawClient(await connectUnix(path), longestBytes);
  }

  /** Sends a request and resolves to the bytes of its answer, valid until the next one. */
  async call(method: string, params: object = {}): Promise<Uint8Array> {
    const request = { jsonrpc: "2.0", id: this.#nextId++, method, params };
    await this.#link.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
    let length = 0;
    while (this.#buffer[length - 1] !== lineFeed || length === 0) {
      const n = await this.#link.read(this.#buffer.subarray(length));
      if (n === null) throw new Error(`the connection ended during ${method}`);
      length += n;
    }
    return this.#buffer.subarray(0, length);
  }

  /** The result of a call. */
  async result(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const answer = JSON.parse(new TextDecoder().decode(await this.call(method, params)));
    if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result;
  }

  [Symbol.dispose](): void {
    this.#link.close();
  }
}
